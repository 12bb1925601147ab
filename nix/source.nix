# The sources a build needs, by folder and kind: prose and CI files rebuild nothing.
let
  root = toString ../.;
  folders = [ "crates" "xtask" "tests" "benches" "tools" ".cargo" ];
  files = [ "Cargo.toml" "Cargo.lock" "clippy.toml" "rustfmt.toml" "deny.toml" "LICENSE" ];
  kinds = [ "rs" "toml" "proto" "py" "pyi" "snap" "sql" "html" "css" "js" "svg" "txt" "json" ];

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
      top = builtins.head (builtins.filter builtins.isString (builtins.split "/" relative));
      name = baseNameOf relative;
    in
    if relative == top then
      (type == "directory" && builtins.elem top folders) || builtins.elem top files
    else
      builtins.elem top folders
      && (type == "directory" || builtins.elem (extension name) kinds || top == "tools" || name == "py.typed");
in
builtins.path {
  name = "qntx-python-source";
  path = ../.;
  filter = wanted;
}
