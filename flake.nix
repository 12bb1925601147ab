{
  description = "Runs Python for QNTX: every execution in a fresh, sandboxed, killable CPython 3.13 process";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      perSystem =
        make:
        builtins.listToAttrs (
          map (system: {
            name = system;
            value = make nixpkgs.legacyPackages.${system};
          }) systems
        );
    in
    {
      packages = perSystem (pkgs: rec {
        qntx-python-plugin = pkgs.callPackage ./nix/package.nix { };
        default = qntx-python-plugin;
      });

      # nix run                    serves on port 9000
      # nix run . -- eval '1+1'    evaluates once
      apps = perSystem (pkgs: {
        default = {
          type = "app";
          program = "${self.packages.${pkgs.system}.default}/bin/qntx-python-plugin";
        };
      });

      # Everything to build, test, bench and lint.
      devShells = perSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.rustc
            pkgs.clippy
            pkgs.rustfmt
            pkgs.cargo-deny
            pkgs.python313
            pkgs.uv
            pkgs.grpcurl
          ];
          PYO3_PYTHON = pkgs.python313.interpreter;
        };
      });
    };
}
