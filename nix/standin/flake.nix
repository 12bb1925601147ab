# Stands in for nixpkgs where neither its source nor a binary cache can be reached:
#
#   nix flake check --no-build --override-input nixpkgs path:./nix/standin
#
# It has the attributes that flake.nix uses, with nixpkgs' shapes, so that the flake is
# evaluated to derivations whose contents can be looked at. Nothing in it can be built.
#
# What it cannot prove: that nixpkgs at the pinned revision has these attributes, and
# that the derivations build.
{
  description = "A stand-in for nixpkgs";

  outputs = _: {
    legacyPackages = builtins.listToAttrs (
      map
        (system: {
          name = system;
          value = import ./default.nix { inherit system; };
        })
        [
          "x86_64-linux"
          "aarch64-linux"
          "x86_64-darwin"
          "aarch64-darwin"
        ]
    );
  };
}
