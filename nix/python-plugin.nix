# A plugin of its own name with Python packages of its own:
#
#   mkPythonPlugin { name = "data"; packages = ps: [ ps.numpy ps.pandas ]; }
#
# gives bin/qntx-data-plugin, which QNTX knows as `data`. uv is pinned with it.
{
  lib,
  runCommand,
  makeBinaryWrapper,
  uv,
  qntx-python-plugin,
}:

{
  name,
  packages ? _: [ ],
  # Further arguments for every start, e.g. [ "--memory" "2G" ].
  args ? [ ],
}:

let
  inherit (qntx-python-plugin) python version;
  environment = python.withPackages packages;
  arguments = [
    "--name"
    name
    "--python-path"
    "${environment}/${python.sitePackages}"
  ]
  ++ args;
in
assert lib.assertMsg (
  builtins.match "[a-z0-9][a-z0-9-]*" name != null
) "mkPythonPlugin: a plugin's name is lower-case letters, digits and hyphens, not `${name}`";
runCommand "qntx-${name}-plugin-${version}"
  {
    nativeBuildInputs = [ makeBinaryWrapper ];
    passthru = {
      inherit python environment;
    };
    meta = qntx-python-plugin.meta // {
      mainProgram = "qntx-${name}-plugin";
    };
  }
  ''
    makeWrapper ${qntx-python-plugin}/bin/qntx-python-plugin "$out/bin/qntx-${name}-plugin" \
      --add-flags ${lib.escapeShellArg (lib.escapeShellArgs arguments)} \
      --prefix PATH : ${lib.makeBinPath [ uv ]}
  ''
