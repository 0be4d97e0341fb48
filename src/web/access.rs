//! The rules of who may come, by which name, and from which page: pure, so that each can be tested alone.
//!
//! A page of another site must not be able to have a visitor's browser read or change anything here: neither
//! under a name that is made to lead here (DNS rebinding), nor by a form that is sent here.

use std::net::IpAddr;

/// Whether a request names a host under which the pages are meant to be reached. An address in figures can be
/// the one it came to, since no name has been made to lead there; the port says nothing, because it may be another's.
pub(super) fn is_host_ours(host: &str, came_to: IpAddr, hosts: &[String]) -> bool {
    let Some(name) = name_of(host) else { return false };
    if hosts.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return true;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return came_to.is_loopback();
    }
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.to_canonical() == came_to.to_canonical())
}

/// A host without its port.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(']') {
        Some(end) => (&host[..=end], host[end + 1..].strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let is_whole = name.len() + port.map_or(0, |port| port.len() + 1) == host.len();
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_whole && is_port && !name.is_empty()).then_some(name)
}

/// Whether a request that changes something comes from a page of ours, or from no page at all: what browsers
/// say of themselves, which no page can make them leave out.
///
/// A proxy may leave out the port that the browser sees, or add the usual one: under a name of `hosts` the name decides.
pub(super) fn is_from_here(
    host: &str,
    origin: Option<&str>,
    fetch_site: Option<&str>,
    hosts: &[String],
) -> bool {
    let is_same_site = fetch_site.is_none_or(|site| site == "same-origin" || site == "none");
    let is_same_origin = origin.is_none_or(|origin| {
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let usual = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return false,
        };
        let plain = |authority: &str| authority.strip_suffix(usual).unwrap_or(authority).to_ascii_lowercase();
        let name =
            name_of(authority).filter(|name| hosts.iter().any(|known| name.eq_ignore_ascii_case(known)));
        let is_named = name.zip(name_of(host)).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other));
        is_named || plain(authority) == plain(host)
    });
    is_same_site && is_same_origin
}

/// A place of ours to go to after a sign-in: a path, and nothing that leads elsewhere.
pub(super) fn place_to_go(asked: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.?=&".contains(&byte);
    let is_path = asked.starts_with('/') && !asked.starts_with("//") && asked.bytes().all(is_plain);
    if is_path && asked.len() <= 200 { asked } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn hosts_are_ours_by_name_or_by_the_address_that_was_called() {
        let hosts = ["sync.example.org".to_owned()];
        for host in ["localhost", "localhost:8080", "LocalHost:1", "127.0.0.1:8080", "Sync.Example.org:443"] {
            assert!(is_host_ours(host, HERE, &hosts), "{host}");
        }
        for host in [
            "evil.example:8080",
            "evil.localhost",
            "localhost.evil.example",
            "sync.example.org.evil.example",
            "192.168.0.9",
            "localhost:8080:80",
            "localhost@evil.example",
            "[::1]x:80",
            "",
            ":80",
            "localhost:",
        ] {
            assert!(!is_host_ours(host, HERE, &hosts), "{host}");
        }
        let six: IpAddr = "::1".parse().expect("an address");
        assert!(is_host_ours("[::1]:8080", six, &[]) && !is_host_ours("[::2]", six, &[]));
        let outside: IpAddr = "192.168.0.9".parse().expect("an address");
        let mapped: IpAddr = "::ffff:192.168.0.9".parse().expect("an address");
        for came_to in [outside, mapped] {
            assert!(is_host_ours("192.168.0.9:80", came_to, &[]));
            assert!(!is_host_ours("localhost", came_to, &[]));
            // Into a container leads a name of the machine around it.
            assert!(is_host_ours("localhost:8080", came_to, &["localhost".to_owned()]));
        }
    }

    #[test]
    fn changes_come_from_our_own_pages_or_from_none() {
        let host = "localhost:8080";
        let ours = Some("http://localhost:8080");
        for (origin, site) in
            [(None, None), (ours, None), (ours, Some("same-origin")), (Some("https://localhost:8080"), None)]
        {
            assert!(is_from_here(host, origin, site, &[]), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("null"), None),
            (Some("http://evil.example"), None),
            (Some("http://localhost:8081"), None),
            (Some("http://localhost"), Some("same-origin")),
            (Some("localhost:8080"), None),
            (ours, Some("cross-site")),
            (None, Some("same-site")),
        ] {
            assert!(!is_from_here(host, origin, site, &[]), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn a_proxy_may_leave_a_port_out_or_name_the_usual_one() {
        let hosts = ["sync.example.org".to_owned()];
        for (host, origin) in [
            ("sync.example.org:443", "https://sync.example.org"),
            ("sync.example.org", "https://Sync.example.org:443"),
            ("sync.example.org", "https://sync.example.org:8443"),
            ("localhost", "http://localhost:80"),
        ] {
            assert!(is_from_here(host, Some(origin), Some("same-origin"), &hosts), "{host} {origin}");
        }
        for (host, origin) in [
            ("sync.example.org", "https://evil.example"),
            ("sync.example.org", "https://sync.example.org.evil.example"),
            ("sync.example.org", "https://sync.example.org@evil.example"),
            ("localhost:8080", "https://sync.example.org"),
            ("localhost:8080", "http://localhost:80"),
            ("sync.example.org", "ftp://sync.example.org"),
        ] {
            assert!(!is_from_here(host, Some(origin), None, &hosts), "{host} {origin}");
        }
    }

    #[test]
    fn a_sign_in_leads_to_pages_of_ours_alone() {
        assert_eq!(place_to_go("/runs?status=failed&before=7"), "/runs?status=failed&before=7");
        for asked in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nb", "/%2f"] {
            assert_eq!(place_to_go(asked), "/", "{asked}");
        }
    }
}
