# What the flake comes to, as data for `cargo xtask nix` to hold against its rules.
#
# The flake's outputs are called by hand here, with the stand-in for nixpkgs, because
# `nix eval` cannot look at a whole flake at once; the same outputs go through
# `nix flake show` and `nix flake check` beside this.
{ tree, system }:

let
  pkgs = import (tree + "/nix/standin") { inherit system; };
  flake = import (tree + "/flake.nix");
  outputs = flake.outputs {
    self = outputs // {
      inherit outputs;
    };
    nixpkgs = {
      legacyPackages = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = import (tree + "/nix/standin") { system = name; };
        }) (pkgs.lib.platforms.linux ++ pkgs.lib.platforms.darwin)
      );
    };
  };
  plugin = outputs.packages.${system}.default;
  image = outputs.packages.${system}.oci-image;
  made = outputs.lib.mkPythonPlugin {
    inherit system;
    name = "data";
    packages = ps: [ ps.numpy ];
  };
  service =
    settings:
    (pkgs.lib.evalModule {
      module = outputs.nixosModules.default;
      inherit pkgs;
      settings.services.qntx-python = settings // {
        enable = true;
      };
    });
  unit = (service { }).systemd.services.qntx-python.serviceConfig;
  files = {
    certificate = "/run/secrets/cert.pem";
    key = "/run/secrets/key.pem";
    clientAuthority = "/run/secrets/ca.pem";
  };
  public =
    tls:
    builtins.all (entry: entry.assertion)
      (service {
        address = "0.0.0.0";
        inherit tls;
      }).assertions;
in
{
  inputs = builtins.attrNames flake.inputs;
  input = flake.inputs.nixpkgs.url;
  systems = builtins.attrNames outputs.packages;
  checks = builtins.mapAttrs (_: builtins.attrNames) outputs.checks;

  plugin = {
    inherit (plugin) version;
    drv = plugin.drvPath;
    out = "${plugin}";
    main = plugin.meta.mainProgram;
    source = "${plugin.src}";
  };
  program = outputs.apps.${system}.default.program;
  python = {
    inherit (pkgs.python313) interpreter;
    drv = pkgs.python313.drvPath;
  };
  overlay =
    (outputs.overlays.default (pkgs // outputs.overlays.default pkgs pkgs) pkgs)
    .qntx-python-plugin.drvPath;
  formatter = outputs.formatter.${system}.name;
  shell = outputs.devShells.${system}.default.drvPath;

  made = {
    inherit (made) buildCommand;
    main = made.meta.mainProgram;
    uv = "${pkgs.uv}/bin";
    environment = "${made.environment}/${pkgs.python313.sitePackages}";
    refused =
      (builtins.tryEval
        (outputs.lib.mkPythonPlugin {
          inherit system;
          name = "Data";
        }).drvPath
      ).success;
  };

  image = {
    config = builtins.fromJSON (builtins.unsafeDiscardStringContext image.config);
    elsewhere = (outputs.packages.x86_64-darwin or { }) ? oci-image;
  };

  inherit unit;
  tls = {
    inherit files;
    inherit ((service { tls = files; }).systemd.services.qntx-python.serviceConfig)
      ExecStart
      LoadCredential
      ;
  };
  exposed = {
    without = builtins.all (entry: entry.assertion) (service { address = "0.0.0.0"; }).assertions;
    "with" =
      builtins.all (entry: entry.assertion)
        (service {
          address = "0.0.0.0";
          tokenFile = "/run/secrets/token";
        }).assertions;
    mutual = public files;
    server = public (files // { clientAuthority = null; });
    keyless =
      builtins.all (entry: entry.assertion)
        (service { tls.certificate = files.certificate; }).assertions;
    port =
      (builtins.tryEval (service { port = 70000; }).systemd.services.qntx-python.serviceConfig.ExecStart)
      .success;
  };
}
