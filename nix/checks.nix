# What `nix flake check` builds. Lints, tests and docs start from one build of the
# dependencies, which changes only with the manifests and the lock file.
#
# Not for callPackage, which would put `override` among the checks.
pkgs: qntx-python-plugin:

let
  # The plugin's own build, with another command in place of `cargo build`.
  like =
    name: attributes:
    qntx-python-plugin.overrideAttrs (
      old:
      {
        pname = "${old.pname}-${name}";
        nativeBuildInputs = old.nativeBuildInputs ++ [
          pkgs.cargo
          pkgs.clippy
          pkgs.rustfmt
        ];
        installPhase = "touch $out";
        doInstallCheck = false;
      }
      // attributes
    );

  dependencies = like "dependencies" {
    src = import ./source.nix { manifestsOnly = true; };
    # Empty crates in the place of ours, and an empty file for every target that a
    # manifest names.
    postPatch = ''
      for manifest in $(find . -mindepth 2 -name Cargo.toml); do
        crate=$(dirname "$manifest")
        mkdir -p "$crate/src"
        touch "$crate/src/lib.rs"
        echo 'fn main() {}' | tee "$crate/src/main.rs" > "$crate/build.rs"
        sed -n 's/^path = "\(.*\.rs\)"$/\1/p' "$manifest" | while read -r target; do
          mkdir -p "$(dirname "$crate/$target")"
          [ -e "$crate/$target" ] || echo 'fn main() {}' > "$crate/$target"
        done
      done
    '';
    buildPhase = ''
      cargo clippy --offline --release --workspace --all-targets
      cargo test --offline --release --workspace --no-run
    '';
    # Without the traces of our own crates cargo compiles those anew.
    installPhase = ''
      sed -n 's/^name = "\(.*\)"$/\1/p' $(find . -mindepth 2 -name Cargo.toml) | while read -r ours; do
        rm -rf "target/release/.fingerprint/$ours"-*
      done
      mkdir "$out"
      tar -cf "$out/target.tar" target
    '';
  };

  onDependencies =
    name: command:
    like name {
      buildPhase = ''
        tar -xf ${dependencies}/target.tar
        ${command}
      '';
    };
in
{
  build = qntx-python-plugin;
  fmt = like "fmt" { buildPhase = "cargo fmt --all --check"; };
  clippy = onDependencies "clippy" "cargo clippy --offline --release --workspace --all-targets -- -D warnings";
  tests = onDependencies "tests" "cargo test --offline --release --workspace";
  docs = onDependencies "docs" ''
    RUSTDOCFLAGS="-D warnings" cargo doc --offline --release --workspace --no-deps
  '';
  # Advisories need a database from the network: cargo-deny checks them in CI.
  deny = like "deny" {
    buildPhase = "${pkgs.cargo-deny}/bin/cargo-deny --offline check licenses bans sources";
  };
}
