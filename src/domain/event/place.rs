//! Where an event is: an address in words or one that Google knows, and a point on the map.

use serde_json::{Map, Value, json};

use super::Field;
use super::parse::{Problem, Reading, invalid};
use crate::domain::code::Code;

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeoAddress {
    /// As people write it.
    Manual {
        /// Its text.
        address: String,
    },
    /// A place that Google knows.
    Google {
        /// Google's id of it.
        place_id: String,
        /// What to tell guests beyond the address.
        description: Option<String>,
    },
}

impl GeoAddress {
    /// As the API takes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Manual { address } => json!({ "type": "manual", "address": address }),
            Self::Google { place_id, description: None } => json!({ "type": "google", "place_id": place_id }),
            Self::Google { place_id, description: Some(description) } => {
                json!({ "type": "google", "place_id": place_id, "description": description })
            }
        }
    }
}

/// A point on the map, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinate {
    longitude: f64,
    latitude: f64,
}

impl Coordinate {
    /// How far east.
    #[must_use]
    pub const fn longitude(&self) -> f64 {
        self.longitude
    }

    /// How far north.
    #[must_use]
    pub const fn latitude(&self) -> f64 {
        self.latitude
    }
}

const SHAPE: &str = "write `{\"type\":\"manual\",\"address\":\"…\"}` or `{\"type\":\"google\",\"place_id\":\"…\"}`, or the \
                     address alone into `geo_address`";

impl Reading<'_> {
    /// The address, which may be written in one of two ways.
    pub(super) fn geo_address(&mut self) -> Option<GeoAddress> {
        let plain = self.text(Field::GeoAddress, |text| Ok(GeoAddress::Manual { address: text.to_owned() }));
        let json = self.text(Field::GeoAddressJson, |text| geo_address(text).map_err(invalid));
        if self.fields.get(Field::GeoAddress).is_some() && self.fields.get(Field::GeoAddressJson).is_some() {
            let why = "says what `geo_address_json` says: keep one of the two";
            self.problems.push(Problem::conflict(Field::GeoAddress, why));
        }
        json.or(plain)
    }

    /// The point, which takes both of its numbers.
    pub(super) fn coordinate(&mut self) -> Option<Coordinate> {
        let latitude = self.text(Field::Latitude, |text| degrees(text, 90.0));
        let longitude = self.text(Field::Longitude, |text| degrees(text, 180.0));
        for (one, other) in [(Field::Latitude, Field::Longitude), (Field::Longitude, Field::Latitude)] {
            if self.fields.get(one).is_some() && self.fields.get(other).is_none() {
                self.problems.push(Problem::conflict(one, format!("says nothing without `{other}`")));
            }
        }
        Some(Coordinate { longitude: longitude?, latitude: latitude? })
    }
}

fn geo_address(text: &str) -> Result<GeoAddress, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| format!("is no JSON object: {SHAPE}"))?;
    let known = |names: &[&str]| object.keys().all(|name| name == "type" || names.contains(&name.as_str()));
    let text = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let found = match text("type").as_deref() {
        Some("manual") if known(&["address"]) => {
            text("address").map(|address| GeoAddress::Manual { address })
        }
        Some("google") if known(&["place_id", "description"]) => {
            text("place_id").map(|place_id| GeoAddress::Google { place_id, description: text("description") })
        }
        _ => None,
    };
    found.ok_or_else(|| format!("is no address that Luma takes: {SHAPE}"))
}

fn degrees(text: &str, most: f64) -> Result<f64, (Code, String)> {
    let number = text.parse::<f64>().ok().filter(|number| (-most..=most).contains(number));
    number.ok_or_else(|| invalid(format!("is no number of degrees from -{most} to {most}, like `38.7223`")))
}
