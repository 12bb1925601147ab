# The packages of nixpkgs that the flake uses: derivations with nixpkgs' names and
# attributes that nothing can build.
{ system }:

let
  lib = import ./lib.nix;
  platform = {
    inherit system;
    isLinux = builtins.elem system lib.platforms.linux;
    isDarwin = builtins.elem system lib.platforms.darwin;
  };

  # stdenv.mkDerivation: attributes become the environment, `meta` and `passthru` stay
  # out of it, and overrideAttrs makes it anew.
  mkDerivation =
    attributes:
    let
      name = attributes.name or "${attributes.pname}-${attributes.version}";
      environment = removeAttrs attributes [
        "meta"
        "passthru"
      ];
      drv = derivation (
        environment
        // {
          inherit name system;
          builder = "/bin/sh";
          args = [
            "-c"
            "echo the stand-in for nixpkgs builds nothing >&2; exit 1"
          ];
        }
      );
    in
    drv
    // (attributes.passthru or { })
    // {
      inherit name;
      version = attributes.version or "";
      meta = attributes.meta or { };
      overrideAttrs = change: mkDerivation (attributes // change attributes);
    };

  package =
    pname: version: passthru:
    mkDerivation {
      inherit pname version passthru;
      meta.mainProgram = pname;
    };

  python =
    minor: patch:
    let
      version = "3.${minor}.${patch}";
      libPrefix = "python3.${minor}";
      self = package "python3" version {
        inherit libPrefix;
        interpreter = "${self}/bin/${libPrefix}";
        sitePackages = "lib/${libPrefix}/site-packages";
        pkgs = {
          numpy = package "${libPrefix}-numpy" "2.0.0" { };
        };
        withPackages =
          choose:
          mkDerivation {
            name = "python3-${version}-env";
            paths = [ self ] ++ choose self.pkgs;
          };
      };
    in
    self;

  # importCargoLock: the lock file is read, and a dependency from git needs its hash.
  vendored =
    {
      lockFile,
      outputHashes ? { },
    }:
    let
      locked = (builtins.fromTOML (builtins.readFile lockFile)).package;
      fromGit = entry: builtins.match "git\\+.*" (entry.source or "") != null;
      hash =
        entry:
        outputHashes."${entry.name}-${entry.version}"
          or (throw "no hash in cargoLock.outputHashes for the git dependency ${entry.name}-${entry.version}");
    in
    mkDerivation {
      name = "cargo-vendor-dir";
      checksums = map (entry: if fromGit entry then hash entry else entry.checksum or "own") locked;
    };

  tools = builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value = package name "1.0.0" { };
      })
      [
        "cacert"
        "cargo"
        "cargo-deny"
        "clippy"
        "deadnix"
        "grpcurl"
        "makeBinaryWrapper"
        "nixfmt"
        "rust-analyzer"
        "rustc"
        "rustfmt"
        "tzdata"
        "uv"
      ]
  );

  pkgs = tools // {
    inherit lib pkgs system;

    stdenv = {
      inherit mkDerivation;
      hostPlatform = platform;
    };

    # As in nixpkgs, the result gets an `override`, also when it is no package.
    callPackage =
      file: arguments:
      let
        function = if builtins.isFunction file then file else import file;
        wanted = builtins.intersectAttrs (builtins.functionArgs function) pkgs;
        result = function (wanted // arguments);
        override = change: pkgs.callPackage file (arguments // change);
      in
      if builtins.isAttrs result then result // { inherit override; } else result;

    rustPlatform.buildRustPackage =
      attributes:
      mkDerivation (
        removeAttrs attributes [ "cargoLock" ]
        // {
          cargoDeps = vendored attributes.cargoLock;
          nativeBuildInputs = (attributes.nativeBuildInputs or [ ]) ++ [
            pkgs.cargo
            pkgs.rustc
          ];
        }
      );

    runCommand =
      name: attributes: buildCommand:
      mkDerivation (attributes // { inherit name buildCommand; });

    mkShell =
      attributes:
      mkDerivation ({ name = "nix-shell"; } // attributes // { packages = attributes.packages; });

    dockerTools.buildLayeredImage =
      {
        name,
        tag,
        contents,
        config,
        extraCommands ? "",
      }:
      mkDerivation {
        name = "${name}.tar.gz";
        config = builtins.toJSON config;
        inherit tag contents extraCommands;
      };

    python313 = python "13" "5";
    python312 = python "12" "11";
    python3 = pkgs.python312;
  };
in
pkgs
