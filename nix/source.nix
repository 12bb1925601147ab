# The sources a build needs, by folder and kind: prose and CI files rebuild nothing.
# With `manifestsOnly`, what decides which dependencies are compiled, and no more.
{
  manifestsOnly ? false,
}:

let
  root = toString ../.;
  folders = [
    "crates"
    "xtask"
    "tests"
    "benches"
    "examples"
    "tools"
    ".cargo"
  ];
  files = [
    "Cargo.toml"
    "Cargo.lock"
    "clippy.toml"
    "rustfmt.toml"
    "deny.toml"
    "flake.lock"
    "LICENSE"
  ];
  kinds = [
    "rs"
    "toml"
    "proto"
    "py"
    "pyi"
    "snap"
    "sql"
    "html"
    "css"
    "js"
    "svg"
    "txt"
    "json"
  ];

  extension =
    name:
    let
      parts = builtins.match ".*\\.([a-z]+)" name;
    in
    if parts == null then "" else builtins.head parts;

  wanted =
    path: type:
    let
      relative = builtins.substring (builtins.stringLength root + 1) (-1) (toString path);
      top = builtins.head (builtins.split "/" relative);
      name = baseNameOf relative;
      folder = builtins.elem top folders;
    in
    if type == "directory" then
      folder
    else if manifestsOnly then
      name == "Cargo.toml" || name == "Cargo.lock" || (folder && top == ".cargo")
    else if relative == top then
      builtins.elem name files
    else
      folder && (builtins.elem (extension name) kinds || top == "tools" || name == "py.typed");
in
builtins.path {
  name = if manifestsOnly then "qntx-python-manifests" else "qntx-python-source";
  path = ../.;
  filter = wanted;
}
