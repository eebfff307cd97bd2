//! Every type × format × nesting against the table.

use crate::{
    formats::{ALL, Format},
    kinds::kinds,
    nestings::{Cell, Nesting},
    verdict,
};

/// What loads, to the same bits. All else returns an error, in saving or in loading.
///
/// - A name stands for all types that begin with it (`savable.rs`). `Untagged` holds for both orders of the variants.
/// - postcard and bincode do not say what comes next, so that nothing can be chosen by its looks or its tag's name, nor
///   be mixed into a struct. `MixedGroups` has an untagged enum inside.
/// - `Form` is one of four words and not a struct: no document of TOML, and no place for a tag or other fields beside
///   it.
const TABLE: &str = "
                 | Plain         | Struct        | Untagged | Internal     | Adjacent | Flattened
Json             | all           | all           | all      | all but Form | all      | all but Form
JsonValue        | all           | all           | all      | all but Form | all      | all but Form
Json5            | all           | all           | all      | all but Form | all      | all but Form
Json5F64         | all           | all           | all      | all but Form | all      | all but Form
Toml             | all but Form  | all           | all      | all but Form | all      | all but Form
Yaml             | all           | all           | all      | all but Form | all      | all but Form
YamlSaphyr       | all           | all           | all      | all but Form | all      | all but Form
Ron              | all           | all           | all      | all but Form | all      | all but Form
Cbor             | all           | all           | all      | all but Form | all      | all but Form
MessagePack      | all           | all           | all      | all but Form | all      | all but Form
MessagePackNamed | all           | all           | all      | all but Form | all      | all but Form
Postcard         | all but Mixed | all but Mixed | none     | none         | none     | none
Bincode          | all but Mixed | all but Mixed | none     | none         | none     | none
";

fn loads(name: &str, format: Format, nesting: Nesting) -> bool {
    let row = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut lines = TABLE.lines().skip(1).map(row);
    let nesting = format!("{nesting:?}").replace("Reversed", "Untagged");
    let column = lines.next().unwrap().iter().position(|title| *title == nesting).unwrap();
    match lines.find(|line| line[0] == format!("{format:?}")).unwrap()[column] {
        "all" => true,
        "none" => false,
        but => !but.strip_prefix("all but ").unwrap().split(", ").any(|but| name.starts_with(but)),
    }
}

fn judge(nesting: Nesting) {
    let mut failures = Vec::new();
    for &format in ALL {
        for kind in kinds() {
            let (what, why) = match ((kind.cell)(nesting, format), loads(kind.name, format, nesting)) {
                (Cell::Loads, true) | (Cell::Rejected(_), false) => continue,
                (Cell::Loads, false) => ("loads", "the table says that it is rejected".into()),
                (Cell::Rejected(why), _) => ("rejected", why),
                (Cell::Partly(why), _) => ("some values rejected", why),
                (Cell::Wrong(why), _) => ("WRONG", why),
            };
            failures.push((format!("{nesting:?} in {format:?}, {what}"), kind.name.to_string(), why));
        }
    }
    verdict(failures);
}

macro_rules! judged {
    ($($test:ident: $nesting:ident,)*) => {$(
        #[test]
        fn $test() {
            judge(Nesting::$nesting);
        }
    )*};
}

judged! {
    plain: Plain,
    in_a_struct: Struct,
    untagged: Untagged,
    untagged_in_reverse: Reversed,
    internally_tagged: Internal,
    adjacently_tagged: Adjacent,
    flattened: Flattened,
}
