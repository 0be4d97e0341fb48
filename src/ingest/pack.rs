//! Bytes into a file as another one is written: packed alike, and in UTF-16 where that one was.
//!
//! Knows nothing of what the bytes mean.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::encoding::Encoding;
use super::open::Compression;

/// A file that is being written. Nothing is whole before `finish`.
pub(super) enum Packer {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Packer {
    pub(super) fn new(file: File, compression: Compression) -> io::Result<Self> {
        let file = BufWriter::with_capacity(256 << 10, file);
        Ok(match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => Self::Gzip(GzEncoder::new(file, Level::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(file, 0)?),
        })
    }

    /// Ends what is packed, and sees it on the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(packer) => packer.finish()?,
            Self::Zstd(packer) => packer.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(packer) => packer.write(bytes),
            Self::Zstd(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(packer) => packer.flush(),
            Self::Zstd(packer) => packer.flush(),
        }
    }
}

/// Text as UTF-16 writes it, with its mark at the start; every other encoding passes as it is.
pub(super) struct Wide<W> {
    to: W,
    encoding: Encoding,
    /// The first bytes of a character that is not whole yet.
    rest: Vec<u8>,
}

impl<W: Write> Wide<W> {
    pub(super) fn new(to: W, encoding: Encoding) -> io::Result<Self> {
        let mut wide = Self { to, encoding, rest: Vec::new() };
        if is_wide(encoding) {
            wide.put('\u{feff}')?;
        }
        Ok(wide)
    }

    pub(super) fn into_inner(self) -> W {
        self.to
    }

    fn put(&mut self, c: char) -> io::Result<()> {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let bytes =
                if self.encoding == Encoding::Utf16Be { unit.to_be_bytes() } else { unit.to_le_bytes() };
            self.to.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// Whether an encoding has two bytes for each letter.
pub(super) const fn is_wide(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be)
}

impl<W: Write> Write for Wide<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !is_wide(self.encoding) {
            return self.to.write(bytes);
        }
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(bytes);
        let mut chunks = text.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                self.put(c)?;
            }
            let is_cut = chunks.peek().is_none()
                && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
            if is_cut {
                self.rest = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                self.put(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
