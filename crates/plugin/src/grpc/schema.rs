//! `ConfigSchema`: the settings page's fields.
//!
//! **Invariant:** every field's type is one the core accepts, and the fields
//! are the keys [`crate::settings`] reads.

use crate::settings::KEYS;
use proto::protocol::{ConfigFieldSchema, ConfigSchemaResponse};

/// The keys as the core wants them described.
pub(super) fn schema() -> ConfigSchemaResponse {
    let field = |key: &crate::settings::Key| ConfigFieldSchema {
        r#type: key.kind.to_owned(),
        description: key.about.to_owned(),
        default_value: key.default.to_owned(),
        required: false,
        min_value: key.min.to_owned(),
        max_value: key.max.to_owned(),
        pattern: String::new(),
        element_type: String::new(),
    };
    let fields = KEYS.iter().map(|key| (key.name.to_owned(), field(key)));
    ConfigSchemaResponse { fields: fields.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_accepts_every_type() {
        for (name, field) in schema().fields {
            let kinds = ["string", "number", "integer", "boolean"];
            assert!(kinds.contains(&field.r#type.as_str()), "{name}");
        }
    }
}
