//! From a path to plain bytes: decompression by magic bytes, limits against bombs, and what a file is known by.
//!
//! Knows nothing of what the bytes mean.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::error::{Fault, FileError};
use crate::clock::Time;

/// No list of people expands further than this, once it is past `FREE_EXPANSION`.
const MAX_RATIO: u64 = 200;
const FREE_EXPANSION: u64 = 16 << 20;
const RAW_BUFFER: usize = 128 << 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The unpacked bytes of a file.
pub(crate) struct Source {
    inner: Box<dyn Read + Send>,
    compression: Compression,
    raw: Arc<AtomicU64>,
    expanded: u64,
    max_expanded: u64,
}

impl Source {
    /// Opens a file and looks at its first bytes.
    pub(crate) fn open(path: &Path, max_expanded: u64) -> Result<Self, Fault> {
        let mut file = File::open(path).map_err(Fault::Io)?;
        if file.metadata().map_err(Fault::Io)?.is_dir() {
            return Err(Fault::Io(io::ErrorKind::IsADirectory.into()));
        }
        let mut magic = [0; 4];
        let length = read_full(&mut file, &mut magic).map_err(Fault::Io)?;
        let whole = Cursor::new(magic).take(length as u64).chain(file);
        let compression = match magic {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
            _ => Compression::None,
        };
        let raw = Arc::new(AtomicU64::new(0));
        let counted = Counted { inner: whole, count: Arc::clone(&raw) };
        let inner: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(counted),
            Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(RAW_BUFFER, counted))),
            Compression::Zstd => {
                Box::new(zstd::Decoder::new(counted).map_err(|error| corrupt(Compression::Zstd, &error))?)
            }
        };
        Ok(Self { inner, compression, raw, expanded: 0, max_expanded })
    }

    pub(crate) const fn compression(&self) -> Compression {
        self.compression
    }

    fn check_expansion(&self) -> Result<(), Fault> {
        if self.compression == Compression::None {
            return Ok(());
        }
        if self.expanded > self.max_expanded {
            return Err(Fault::TooLarge(self.max_expanded));
        }
        let allowed = self.raw.load(Ordering::Relaxed).saturating_mul(MAX_RATIO).max(FREE_EXPANSION);
        if self.expanded > allowed { Err(Fault::TooDense(MAX_RATIO)) } else { Ok(()) }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match self.inner.read(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            // What the system says carries its number; the rest comes from the decompressor.
            Err(error) if self.compression == Compression::None || error.raw_os_error().is_some() => {
                return Err(Fault::Io(error).into());
            }
            Err(error) => return Err(corrupt(self.compression, &error).into()),
        };
        self.expanded += length as u64;
        self.check_expansion()?;
        Ok(length)
    }
}

fn corrupt(compression: Compression, error: &io::Error) -> Fault {
    Fault::Corrupt { compression, reason: error.to_string() }
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Reads until the buffer is full or the source ends.
pub(crate) fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a file is known by, whatever its name: the same bytes are the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the bytes as they lie on the disk, in lower-case hexadecimal.
    pub sha256: String,
    /// How many bytes there are.
    pub size: u64,
    /// When the file was last written.
    pub modified: Time,
}

/// Reads the file once and says what it is known by.
pub fn identity(path: &Path) -> Result<Identity, FileError> {
    read_identity(path).map_err(|error| FileError::new(path, Fault::Io(error)))
}

fn read_identity(path: &Path) -> io::Result<Identity> {
    let mut file = File::open(path)?;
    let modified = modified(&file.metadata()?);
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let length = read_full(&mut file, &mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
        size += length as u64;
    }
    Ok(Identity { sha256: hexadecimal(&hash.finalize()), size, modified })
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// When a file was last written; 1970 where the file system does not say.
pub(crate) fn modified(metadata: &std::fs::Metadata) -> Time {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Time::from_micros(0).plus(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }

    fn unpack(bytes: &[u8], max_expanded: u64) -> Result<(Compression, Vec<u8>), Fault> {
        let file = file(bytes);
        let mut source = Source::open(file.path(), max_expanded)?;
        let mut all = Vec::new();
        source.read_to_end(&mut all).map_err(Fault::from_read)?;
        Ok((source.compression(), all))
    }

    #[test]
    fn magic_bytes_say_how_a_file_is_packed() {
        let text = b"email\na@x.org\n";
        let members = [gzip(b"email\n"), gzip(b"a@x.org\n")].concat();
        let frames = [zstd::encode_all(&b"email\n"[..], 1), zstd::encode_all(&b"a@x.org\n"[..], 1)]
            .map(|frame| frame.expect("packed"));
        for (bytes, compression) in [
            (text.to_vec(), Compression::None),
            (members, Compression::Gzip),
            (frames.concat(), Compression::Zstd),
        ] {
            assert_eq!(unpack(&bytes, 1 << 20).expect("unpacked"), (compression, text.to_vec()));
        }
        assert_eq!(unpack(b"", 10).expect("empty").1, b"");
        assert_eq!(unpack(b"a", 10).expect("short").1, b"a");
    }

    #[test]
    fn a_file_cut_off_anywhere_is_corrupt() {
        let text = (0..2000).map(|n| format!("member{n}@example.org\n")).collect::<Vec<_>>().concat();
        for whole in [gzip(text.as_bytes()), zstd::encode_all(text.as_bytes(), 1).expect("packed")] {
            for length in [5, whole.len() / 2, whole.len() - 1] {
                let error = unpack(&whole[..length], 1 << 30).expect_err("cut off");
                assert!(matches!(error, Fault::Corrupt { .. }), "{length}: {error}");
            }
        }
        // Of the two only gzip always carries a checksum.
        let mut broken = gzip(text.as_bytes());
        let middle = broken.len() / 2;
        broken[middle..middle + 8].fill(0xff);
        assert!(matches!(unpack(&broken, 1 << 30), Err(Fault::Corrupt { .. })));
    }

    #[test]
    fn bombs_are_stopped() {
        let zeros = vec![b'a'; 64 << 20];
        let bomb = zstd::encode_all(&zeros[..], 1).expect("packed");
        assert!(matches!(unpack(&bomb, u64::MAX), Err(Fault::TooDense(200))));
        assert!(matches!(unpack(&gzip(&zeros), 1 << 20), Err(Fault::TooLarge(_))));
        let small = zstd::encode_all(&zeros[..8 << 20], 1).expect("packed");
        assert_eq!(unpack(&small, u64::MAX).expect("small").1.len(), 8 << 20);
    }

    #[test]
    fn identity_is_that_of_the_bytes() {
        let file = file(b"abc");
        let identity = identity(file.path()).expect("read");
        assert_eq!(identity.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(identity.size, 3);
        assert!(identity.modified > Time::parse("2020-01-01T00:00:00Z").expect("a time"));
        assert!(super::identity(Path::new("/nowhere/at/all")).is_err());
    }
}
