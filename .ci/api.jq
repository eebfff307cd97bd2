# The crates that a public API names, from rustdoc's JSON.
. as $doc
| [.index[] | select(.name == "Sealed").inner.trait.items[]] as $out_of_reach
| [.index[]
    | select(.crate_id == 0 and .inner.impl.blanket_impl == null and .inner.impl.is_synthetic != true)
    | select(.id | IN($out_of_reach[]) | not)
    | ..
    | objects
    | select((has("path") and has("args")) or has("is_glob"))
    | $doc.paths[.id | tostring].crate_id // 0
    | tostring
    | $doc.external_crates[.].name // "gradstep"]
| unique[]
