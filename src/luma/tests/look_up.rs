//! The route that finds an address, which Luma has given another name.

use super::OK;
use super::server::{Told, luma};
use crate::domain::dialect::Dialect;

#[tokio::test]
async fn the_route_of_addresses_is_asked_by_either_name_and_left_alone_where_there_is_none() {
    const GONE: Told = ("404 Not Found", &[], r#"{"message":"Not found.","code":null}"#);
    const FREE: Told = (OK, &[], r#"{"entity":null}"#);
    const ILL: Told = ("500 Oops", &[], "{}");
    let (client, asked) = luma(Dialect::V1, &[ILL, GONE, FREE, FREE, GONE, FREE]);
    assert!(client.find_event("demo").await.is_err());
    assert_eq!(client.slug_route(), Some("GET /v1/entities/lookup"), "a fault is no missing route");
    assert!(client.find_event("demo").await.is_err());
    for _ in 0..2 {
        assert_eq!(client.slug_route(), Some("GET /v1/entity/lookup"));
        assert_eq!(client.clone().find_event("demo").await.expect("told").0, None);
    }
    assert!(client.find_event("demo").await.is_err());
    assert_eq!(client.slug_route(), None);
    let nothing = client.find_event("demo").await.expect_err("nobody is asked");
    assert_eq!(nothing.status, None);
    let lines: Vec<String> = asked.try_iter().map(|sent| sent.route().to_owned()).collect();
    let (new, old) = ("GET /v1/entities/lookup", "GET /v1/entity/lookup");
    assert_eq!(lines, [new, new, old, old, old]);
}
