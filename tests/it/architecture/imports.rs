//! Which file of a source tree uses which: read from the syntax, with every name followed to the file that defines it.
//!
//! A re-export (`pub use child::Name`) is a door and no use: who imports the name through it uses the file behind it. Tests are left
//! out, as they may put together what does not know each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Item, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

/// A module's path below the crate: empty for the root, `["hub", "topic"]` for `hub/topic.rs`.
type ModulePath = Vec<String>;

/// What one file says.
#[derive(Default)]
struct File {
    /// Its name below the root, such as `hub/topic.rs`.
    name: String,
    /// Names that it defines.
    defined: BTreeSet<String>,
    /// Types that it defines, and whether they are public beyond their room.
    types: BTreeMap<String, bool>,
    /// Names that it takes from elsewhere, by the name that they have here, and whether it only passes them on.
    imports: Vec<(String, Vec<String>, bool)>,
    /// Paths of two names and more in its code.
    paths: BTreeSet<Vec<String>>,
}

/// A tree of sources below one root file.
pub(super) struct Tree {
    files: BTreeMap<ModulePath, File>,
}

impl Tree {
    /// Reads the tree of the root file, such as `src/lib.rs`.
    pub(super) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let folder = root.parent().unwrap();
        for path in rust_files(folder) {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let module: ModulePath = match name.strip_suffix(".rs").unwrap() {
                _ if path == root => Vec::new(),
                module => module.split('/').map(str::to_owned).collect(),
            };
            let is_test = module.iter().any(|part| part == "tests");
            let is_other_root = module == ["main"] || module.first().is_some_and(|part| part == "bin");
            if !is_test && !is_other_root {
                let syntax = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
                files.insert(module.clone(), read(&syntax, &module, name));
            }
        }
        Self { files }
    }

    /// Each file with those that it uses.
    pub(super) fn uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut uses = BTreeMap::new();
        for (module, file) in &self.files {
            let mut used = BTreeSet::new();
            for (_, path, is_door) in &file.imports {
                if !is_door {
                    self.resolve(path, &mut used, 0);
                }
            }
            for path in &file.paths {
                if let Some(path) = self.absolute(module, file, path) {
                    self.resolve(&path, &mut used, 0);
                }
            }
            used.remove(&file.name);
            uses.insert(file.name.clone(), used);
        }
        uses
    }

    /// The types of each file, and whether they are public beyond their room.
    pub(super) fn types(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, bool>)> {
        self.files.values().map(|file| (file.name.as_str(), &file.types))
    }

    /// The path below the crate of one that stands in the code: through `crate`, `super`, `self`, a child, or an import.
    fn absolute(&self, module: &ModulePath, file: &File, path: &[String]) -> Option<Vec<String>> {
        let first = path.first()?;
        if let Some(path) = anchored(module, path) {
            return Some(path);
        }
        let mut child = module.clone();
        child.push(first.clone());
        if self.files.contains_key(&child) {
            child.extend(path.iter().skip(1).cloned());
            return Some(child);
        }
        let (_, import, _) = file.imports.iter().find(|(name, ..)| name == first)?;
        Some(import.iter().chain(path.iter().skip(1)).cloned().collect())
    }

    /// Adds the file that defines what a path below the crate names.
    fn resolve(&self, path: &[String], used: &mut BTreeSet<String>, depth: usize) {
        let Some(length) = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))
        else {
            return;
        };
        let file = &self.files[&path[..length]];
        let Some(name) = path.get(length) else {
            used.insert(file.name.clone());
            return;
        };
        if file.defined.contains(name) || depth > 8 {
            used.insert(file.name.clone());
            return;
        }
        for (as_name, import, _) in &file.imports {
            if as_name == name {
                let rest = path.iter().skip(length + 1);
                return self.resolve(
                    &import.iter().chain(rest).cloned().collect::<Vec<_>>(),
                    used,
                    depth + 1,
                );
            }
        }
        for (as_name, import, _) in &file.imports {
            if as_name == "*" {
                let rest = path.iter().skip(length);
                self.resolve(&import.iter().chain(rest).cloned().collect::<Vec<_>>(), used, depth + 1);
            }
        }
    }
}

/// Files that use each other in a circle: each group is a strongly connected component of more than one file.
pub(super) fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(file) = next.pop() {
            for used in uses.get(&file).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|file| (file, reached(file))).collect();
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, seen) in &reach {
        if seen.contains(*file) {
            let group = seen.iter().filter(|other| reach[other].contains(*file)).cloned().collect();
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A path that begins with `crate`, `super` or `self`, below the crate.
fn anchored(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut at = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module.split_last()?.1.to_vec(),
        _ => return None,
    };
    let mut rest = path.iter().skip(1).peekable();
    while rest.next_if(|part| *part == "super").is_some() {
        at.pop();
    }
    at.extend(rest.cloned());
    Some(at)
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let tokens = attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
        attribute.path().is_ident("cfg") && tokens.contains("test")
    })
}

fn read(syntax: &syn::File, module: &[String], name: String) -> File {
    let mut reader = Reader { module, file: File { name, ..File::default() } };
    for item in &syntax.items {
        reader.item(item);
    }
    reader.file
}

struct Reader<'a> {
    module: &'a [String],
    file: File,
}

impl Reader<'_> {
    fn item(&mut self, item: &Item) {
        let (name, attributes, visibility) = match item {
            Item::Const(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Enum(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Fn(item) => (Some(&item.sig.ident), &item.attrs, &item.vis),
            Item::Static(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Struct(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Trait(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Type(item) => (Some(&item.ident), &item.attrs, &item.vis),
            Item::Impl(item) => (None, &item.attrs, &Visibility::Inherited),
            Item::Macro(item) => (item.ident.as_ref(), &item.attrs, &Visibility::Inherited),
            Item::Use(item) if !is_for_tests(&item.attrs) => return self.import(item),
            _ => return,
        };
        if is_for_tests(attributes) {
            return;
        }
        self.file.defined.extend(name.map(ToString::to_string));
        let is_type = matches!(item, Item::Enum(_) | Item::Struct(_) | Item::Trait(_) | Item::Type(_));
        if is_type {
            let is_public = match visibility {
                Visibility::Public(_) => true,
                Visibility::Restricted(scope) => scope.path.is_ident("crate"),
                Visibility::Inherited => false,
            };
            self.file.types.extend(name.map(|name| (name.to_string(), is_public)));
        }
        self.visit_item(item);
    }

    fn import(&mut self, item: &ItemUse) {
        let is_door = !matches!(item.vis, Visibility::Inherited);
        let mut found = Vec::new();
        leaves(&item.tree, &mut Vec::new(), &mut found);
        for (name, path) in found {
            let absolute = anchored(self.module, &path).unwrap_or_else(|| {
                // A child of this module, or a library, which no file is found for.
                self.module.iter().chain(&path).cloned().collect()
            });
            self.file.imports.push((name, absolute, is_door));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.file.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in path)` says who may use an item and uses nothing.
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // Within a function.
        self.import(item);
    }
}

/// The names that a tree of imports brings, each with its path.
fn leaves(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) {
    let with =
        |name: &str, before: &[String]| before.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            leaves(&path.tree, before, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.last().cloned().unwrap_or_default(), before.clone()));
        }
        UseTree::Name(name) => found.push((name.ident.to_string(), with(&name.ident.to_string(), before))),
        UseTree::Rename(name) if name.ident == "self" => {
            found.push((name.rename.to_string(), before.clone()));
        }
        UseTree::Rename(name) => {
            found.push((name.rename.to_string(), with(&name.ident.to_string(), before)));
        }
        UseTree::Glob(_) => found.push(("*".to_owned(), before.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, before, found)),
    }
}
