# The plugin, linked to nixpkgs' CPython 3.13 and to no other Python.
{
  lib,
  rustPlatform,
  python313,
}:

let
  inherit ((builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace) package;
in
rustPlatform.buildRustPackage {
  pname = "qntx-python-plugin";
  inherit (package) version;

  src = import ./source.nix { };
  cargoLock.lockFile = ../Cargo.lock;

  # pyo3's build script asks this interpreter, and crates/pyfind puts its library's
  # directory into the run path.
  PYO3_PYTHON = python313.interpreter;
  buildInputs = [ python313 ];

  cargoBuildFlags = [
    "--package"
    "qntx-python-plugin"
  ];

  # The tests start sandboxes of their own; `checks.tests` runs them.
  doCheck = false;

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    said=$(env -i "$out/bin/qntx-python-plugin" --version | head -n 1)
    case "$said" in
      "qntx-python-plugin ${package.version}"*) ;;
      *) echo "--version says: $said" >&2; exit 1 ;;
    esac
    runHook postInstallCheck
  '';

  passthru.python = python313;

  meta = {
    description = "Runs Python for QNTX: every execution in a fresh, sandboxed, killable CPython process";
    homepage = package.repository;
    license = lib.licenses.mit;
    mainProgram = "qntx-python-plugin";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
