//! The formats, each as a user would call it.

use bincode::config::{Limit, LittleEndian, Varint};
use serde::{Serialize, de::DeserializeOwned};

macro_rules! formats {
    ($($format:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Format { $($format),* }

        pub const ALL: &[Format] = &[$($format),*];
    };
}

formats! {
    Json,
    JsonValue,
    Json5,
    Json5F64, // JSON read by a reader whose numbers are all f64
    Toml,
    Yaml,
    YamlSaphyr,
    Ron,
    Cbor,
    MessagePack,
    MessagePackNamed,
    Postcard,
    Bincode,
}

use Format::*;

/// With a limit, since the length that bincode reads in a file of another type makes it ask for all memory.
const BINCODE: bincode::config::Configuration<LittleEndian, Varint, Limit<1_000_000>> =
    bincode::config::standard().with_limit();

fn words(error: impl ToString) -> String {
    error.to_string()
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(words)
}

impl Format {
    pub fn is_text(self) -> bool {
        !matches!(self, Cbor | MessagePack | MessagePackNamed | Postcard | Bincode)
    }

    pub fn save<T: Serialize>(self, value: &T) -> Result<Vec<u8>, String> {
        let text = match self {
            Json | Json5F64 => serde_json::to_string(value).map_err(words),
            JsonValue => serde_json::to_value(value).map(|value| value.to_string()).map_err(words),
            Json5 => json5::to_string(value).map_err(words),
            Toml => toml::to_string(value).map_err(words),
            Yaml => yaml_serde::to_string(value).map_err(words),
            YamlSaphyr => serde_saphyr::to_string(value).map_err(words),
            Ron => ron::to_string(value).map_err(words),
            Cbor => {
                let mut bytes = Vec::new();
                return ciborium::into_writer(value, &mut bytes).map(|()| bytes).map_err(words);
            }
            MessagePack => return rmp_serde::to_vec(value).map_err(words),
            MessagePackNamed => return rmp_serde::to_vec_named(value).map_err(words),
            Postcard => return postcard::to_allocvec(value).map_err(words),
            Bincode => return bincode::serde::encode_to_vec(value, BINCODE).map_err(words),
        };
        text.map(String::into_bytes)
    }

    pub fn load<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        match self {
            Json => serde_json::from_slice(bytes).map_err(words),
            JsonValue => serde_json::from_slice(bytes).and_then(serde_json::from_value).map_err(words),
            Json5 => json5::from_str(text(bytes)?).map_err(words),
            Json5F64 => json5_f64::from_str(text(bytes)?).map_err(words),
            Toml => toml::from_str(text(bytes)?).map_err(words),
            Yaml => yaml_serde::from_slice(bytes).map_err(words),
            YamlSaphyr => serde_saphyr::from_slice(bytes).map_err(words),
            Ron => ron::from_str(text(bytes)?).map_err(words),
            Cbor => ciborium::from_reader(bytes).map_err(words),
            MessagePack | MessagePackNamed => rmp_serde::from_slice(bytes).map_err(words),
            Postcard => postcard::from_bytes(bytes).map_err(words),
            Bincode => match bincode::serde::decode_from_slice(bytes, BINCODE) {
                Ok((value, read)) if read == bytes.len() => Ok(value),
                Ok((_, read)) => Err(format!("{read} of {} bytes read", bytes.len())),
                Err(error) => Err(words(error)),
            },
        }
    }
}
