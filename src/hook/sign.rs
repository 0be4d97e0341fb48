//! The signature of a post: HMAC-SHA256 over the moment and the body, so that a receiver knows who speaks, and
//! that nobody repeats what was said long ago.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The header that holds the signature.
pub const SIGNATURE_HEADER: &str = "lumasync-signature";

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 with the key over the seconds since 1970, a dot, and the body.
#[must_use]
pub fn signature(key: &SecretString, seconds: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_others_compute() {
        // printf '1795370400.{"a":1}' | openssl dgst -sha256 -hmac s3cret
        let signed = signature(&"s3cret".into(), 1_795_370_400, "{\"a\":1}");
        let expected = "t=1795370400,v1=89109e6a17a3e9dcc9072ce2eadc256611ac7726882b7ee9534242f9373ae2e3";
        assert_eq!(signed.as_deref(), Some(expected));
        assert_ne!(signature(&"s3cret".into(), 1_795_370_401, "{\"a\":1}").as_deref(), Some(expected));
        assert_ne!(signature(&"s3creT".into(), 1_795_370_400, "{\"a\":1}").as_deref(), Some(expected));
    }
}
