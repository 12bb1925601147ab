{
  description = "Runs Python for QNTX: every execution in a fresh, sandboxed, killable CPython 3.13 process";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      # On macOS there is no sandbox: the plugin refuses to start there without
      # --dangerously-no-sandbox.
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
            value = make nixpkgs.legacyPackages.${system} self.packages.${system};
          }) systems
        );
    in
    {
      packages = perSystem (
        pkgs: own:
        {
          qntx-python-plugin = pkgs.callPackage ./nix/package.nix { };
          default = own.qntx-python-plugin;
        }
        // (
          if pkgs.stdenv.hostPlatform.isLinux then
            { oci-image = pkgs.callPackage ./nix/oci-image.nix { inherit (own) qntx-python-plugin; }; }
          else
            { }
        )
      );

      # A plugin with Python packages of its own, for one system:
      #   mkPythonPlugin { system = "x86_64-linux"; name = "data"; packages = ps: [ ps.numpy ]; }
      lib.mkPythonPlugin =
        {
          name,
          packages ? _: [ ],
          args ? [ ],
          system ? pkgs.stdenv.hostPlatform.system,
          pkgs ? nixpkgs.legacyPackages.${system},
        }:
        pkgs.callPackage ./nix/python-plugin.nix { inherit (self.packages.${system}) qntx-python-plugin; } {
          inherit name packages args;
        };

      # nix run                    serves on port 9000
      # nix run . -- eval '1+1'    evaluates once
      apps = perSystem (
        _: own: {
          default = {
            type = "app";
            program = "${own.default}/bin/qntx-python-plugin";
          };
        }
      );

      # Everything to build, test, bench and lint.
      devShells = perSystem (
        pkgs: _: {
          default = pkgs.mkShell {
            packages = [
              pkgs.cargo
              pkgs.rustc
              pkgs.clippy
              pkgs.rustfmt
              pkgs.rust-analyzer
              pkgs.cargo-deny
              pkgs.python313
              pkgs.uv
              pkgs.grpcurl
              pkgs.deadnix
              pkgs.nixfmt
            ];
            PYO3_PYTHON = pkgs.python313.interpreter;
          };
        }
      );

      checks = perSystem (pkgs: own: import ./nix/checks.nix pkgs own.qntx-python-plugin);

      formatter = perSystem (pkgs: _: pkgs.nixfmt);

      overlays.default = final: _: {
        qntx-python-plugin = final.callPackage ./nix/package.nix { };
      };

      nixosModules.default = import ./nix/module.nix self;
    };
}
