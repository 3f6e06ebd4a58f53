//! A check of the modules of each crate, this program's included: none of them needs itself by way of others.
//!
//! The arrows are read from the source: `use` declarations, and paths that begin with `crate`, `super`, `self` or a module that the
//! file declares. Declaring a module is not an arrow, and neither is what unit tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module, as the segments of its path; the crate's root has none.
type Module = Vec<String>;

/// Which module needs which.
type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// Reads the arrows of the files below a folder.
fn arrows_in(folder: &Path) -> Arrows {
    let mut sources = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let file = entry.expect("the sources can be read").into_path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            let place = file.strip_prefix(folder).expect("it is below the folder").with_extension("");
            let module: Module = place.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            let is_root = module == ["main"] || module == ["lib"];
            let module = if is_root { Module::new() } else { module };
            sources.insert(module, fs::read_to_string(&file).expect("the sources can be read"));
        }
    }
    arrows_of(&sources)
}

/// Reads the arrows of sources, by module.
fn arrows_of(sources: &BTreeMap<Module, String>) -> Arrows {
    let arrows = |(module, text): (&Module, &String)| {
        let targets = paths_in(text).into_iter().filter_map(|path| target(module, &path, sources));
        (module.clone(), targets.filter(|target| target != module).collect())
    };
    sources.iter().map(arrows).collect()
}

/// Finds the module that a path in `module` leads to: the deepest that there is. `None` if it leads to another crate.
fn target(module: &Module, path: &[String], sources: &BTreeMap<Module, String>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut place = match first.as_str() {
        "crate" => Module::new(),
        "self" => module.clone(),
        "super" => module[..module.len().saturating_sub(1)].to_vec(),
        _ => {
            let child: Module = module.iter().chain([first]).cloned().collect();
            sources.contains_key(&child).then_some(child)?
        }
    };
    for segment in rest {
        let deeper: Module = place.iter().chain([segment]).cloned().collect();
        if !sources.contains_key(&deeper) {
            break;
        }
        place = deeper;
    }
    Some(place)
}

/// Reads all paths in a source, each once for every name in its braces.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut rest = code.as_str();
    let mut paths = Vec::new();
    while let Some(start) = rest.find(is_of_name) {
        // A name behind a dot is a method, not a module.
        let is_method = rest[..start].ends_with('.');
        rest = &rest[start..];
        let (found, behind) = tree(rest);
        if !is_method {
            // A single word is a name of any kind, or the `crate` of `pub(crate)`.
            paths.extend(found.into_iter().filter(|path| path.len() > 1));
        }
        rest = behind;
    }
    paths
}

/// Reads one tree of paths, such as `a::{b, c::d}`, and returns what stands behind it.
fn tree(text: &str) -> (Vec<Vec<String>>, &str) {
    let end = text.find(|character| !is_of_name(character)).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let Some(behind) = rest.strip_prefix("::") else { return (vec![vec![name.to_owned()]], rest) };
    rest = behind;
    let mut below = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while rest.starts_with(is_of_name) {
            let (found, behind) = tree(rest);
            below.extend(found);
            rest = behind.trim_start_matches(|character: char| character == ',' || character.is_whitespace());
        }
        rest = rest.strip_prefix('}').unwrap_or(rest);
    } else if rest.starts_with(is_of_name) {
        (below, rest) = tree(rest);
    }
    let with_name = |path: Vec<String>| [vec![name.to_owned()], path].concat();
    (below.into_iter().map(with_name).collect(), rest)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Finds a circle: modules of which each needs the next, and the last the first.
fn circle(arrows: &Arrows) -> Option<Vec<Module>> {
    fn visit(module: &Module, arrows: &Arrows, way: &mut Vec<Module>, done: &mut BTreeSet<Module>) -> bool {
        if let Some(start) = way.iter().position(|passed| passed == module) {
            way.drain(..start);
            return true;
        }
        if done.contains(module) {
            return false;
        }
        way.push(module.clone());
        if arrows.get(module).into_iter().flatten().any(|next| visit(next, arrows, way, done)) {
            return true;
        }
        way.pop();
        done.insert(module.clone());
        false
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|module| {
        let mut way = Vec::new();
        visit(module, arrows, &mut way, &mut done).then_some(way)
    })
}

/// Two modules that need each other cannot be understood, or changed, one by one.
#[test]
fn no_module_needs_itself_by_way_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, fewest) in
        [("packaging/xtask", 50), ("workerlib-core", 8), ("workerlib-codec", 20), ("workerlib-py", 20)]
    {
        let arrows = arrows_in(&root.join(name).join("src"));
        let count = arrows.values().map(BTreeSet::len).sum::<usize>();
        assert!(count > fewest, "the arrows of {name} are not read: {arrows:?}");
        let circle = circle(&arrows)
            .map(|modules| modules.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" -> "));
        assert_eq!(circle, None, "these modules of {name} need each other");
    }
}

/// The check sees circles of both kinds of declarations, and takes neither comments nor tests for arrows.
#[test]
fn circles_are_found() {
    let sources = |texts: &[(&str, &str)]| -> BTreeMap<Module, String> {
        let module =
            |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        texts.iter().map(|(name, text)| (module(name), (*text).to_owned())).collect()
    };
    let is_circular = |texts: &[(&str, &str)]| circle(&arrows_of(&sources(texts))).is_some();
    assert!(is_circular(&[("a", "use crate::b;"), ("b", "use crate::{c::d, a::E};"), ("c", "")]));
    assert!(is_circular(&[("a", "mod b; fn f() { b::g() }"), ("a::b", "use super::Thing;")]));
    assert!(is_circular(&[("", "mod a;\nfn main() { a::f() }"), ("a", "fn f() { crate::g() }")]));
    assert!(!is_circular(&[("a", "use crate::b;"), ("b", "// see crate::a\n#[cfg(test)]\nuse crate::a;")]));
    assert!(!is_circular(&[
        ("", "mod a;\nmod b;"),
        ("a", "use crate::b::c;"),
        ("b", "fn f() { x.a::<u8>() }")
    ]));
}
