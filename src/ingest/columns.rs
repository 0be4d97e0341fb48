//! The names that people, their tools and their languages give to columns.
//!
//! Names are held without case, space and the marks by which spellings differ: `E-Mail-Adresse` is
//! `emailadresse`.

/// The columns our own result files add at the end.
pub(crate) const OURS: [&str; 3] = ["_row", "_code", "_reason"];
/// What the result files of events add to these.
pub(crate) const API_ID: &str = "_api_id";

/// What an address column is called everywhere; the spelling `email` wins over the others.
pub(crate) const EMAIL: &[&str] = &["email", "emailaddress", "mail"];
/// What it is called by some programs and in some languages; counts where none of `EMAIL` is there.
pub(crate) const EMAIL_ELSEWHERE: &[&str] = &[
    "mailaddress",
    "emailid",
    "useremail",
    "contactemail",
    "guestemail",
    "memberemail",
    "attendeeemail",
    "subscriberemail",
    "primaryemail",
    "email1",
    "email1value",
    "emailadresse",
    "mailadresse",
    "adressemail",
    "adresseemail",
    "courriel",
    "adressecourriel",
    "adresseélectronique",
    "adresseelectronique",
    "correo",
    "correoelectrónico",
    "correoelectronico",
];
pub(crate) const NAME: &[&str] =
    &["name", "fullname", "displayname", "vollständigername", "nomcomplet", "nombrecompleto"];
/// `Nombre` is a first name beside `Apellidos`, and alone a whole one: as a first name it is both.
pub(crate) const FIRST: &[&str] = &["firstname", "givenname", "vorname", "prénom", "prenom", "nombre"];
pub(crate) const LAST: &[&str] = &[
    "lastname",
    "familyname",
    "surname",
    "nachname",
    "familienname",
    "nom",
    "nomdefamille",
    "apellidos",
    "apellido",
];
pub(crate) const TAGS: &[&str] = &["tags", "tag"];
/// What Luma's guest export says of whether somebody comes.
pub(crate) const STATUS: &[&str] = &["approvalstatus"];

/// What other programs call what may be tags. Nobody is tagged by a guess: they are asked about.
const LIKE_TAGS: [&str; 17] = [
    "labels",
    "label",
    "groups",
    "group",
    "groupmembership",
    "segments",
    "segment",
    "lists",
    "list",
    "categories",
    "category",
    "interests",
    "tagnames",
    "etiketten",
    "schlagworte",
    "étiquettes",
    "etiquetas",
];

/// A name without case, space, and the marks by which spellings differ.
pub(crate) fn plain(cell: &str) -> String {
    let dropped = |c: char| {
        c.is_whitespace() || matches!(c, '_' | '-' | '"' | '\'' | '\u{feff}' | '\u{2011}' | '\u{200b}')
    };
    cell.chars().filter(|c| !dropped(*c)).flat_map(char::to_lowercase).collect()
}

/// Whether a header cell has a name that means something to us.
pub(crate) fn is_known(cell: &str) -> bool {
    let plain = plain(cell);
    let known = [EMAIL, EMAIL_ELSEWHERE, NAME, FIRST, LAST, TAGS, STATUS];
    known.iter().any(|names| names.contains(&plain.as_str())) || OURS.contains(&cell.trim())
}

/// Whether a column of this name may hold tags, though it is not called so.
pub(crate) fn is_like_tags(cell: &str) -> bool {
    let plain = plain(cell);
    LIKE_TAGS.contains(&plain.as_str()) || strsim::osa_distance(TAGS[0], &plain) == 1
}

/// Whether a column of this name was probably meant to hold addresses.
pub(crate) fn is_like_email(cell: &str) -> bool {
    let plain = plain(cell);
    plain.chars().count() > 2 && EMAIL.iter().any(|name| strsim::osa_distance(name, &plain) <= 2)
}
