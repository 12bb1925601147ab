# The functions of nixpkgs' `lib` that the flake uses.
rec {
  inherit (builtins) concatMap concatStringsSep;

  assertMsg = condition: message: condition || throw message;

  escapeShellArg =
    argument:
    let
      text = toString argument;
    in
    if builtins.match "[[:alnum:],._+:@%/-]+" text != null then
      text
    else
      "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
  escapeShellArgs = list: concatStringsSep " " (map escapeShellArg list);

  getExe =
    package:
    "${package}/bin/${
      package.meta.mainProgram or (throw "getExe: ${package.name} has no mainProgram")
    }";
  makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);

  optionals = condition: list: if condition then list else [ ];
  optionalAttrs = condition: set: if condition then set else { };

  recursiveUpdate =
    a: b:
    if builtins.isAttrs a && builtins.isAttrs b then
      a
      // builtins.mapAttrs (name: value: if a ? ${name} then recursiveUpdate a.${name} value else value) b
    else
      b;

  licenses.mit.spdxId = "MIT";
  platforms = {
    linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    darwin = [
      "x86_64-darwin"
      "aarch64-darwin"
    ];
  };

  # Modules. A type is its name and what it admits.
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkOption = option: option // { _type = "option"; };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  types =
    let
      type = name: check: { inherit name check; };
      isPath =
        value: builtins.isPath value || (builtins.isString value && builtins.match "/.*" value != null);
    in
    {
      bool = type "bool" builtins.isBool;
      str = type "str" builtins.isString;
      path = type "path" isPath;
      package = type "package" (value: value.type or "" == "derivation");
      port = type "port" (value: builtins.isInt value && value >= 0 && value <= 65535);
      ints.positive = type "positive" (value: builtins.isInt value && value > 0);
      enum = values: type "enum" (value: builtins.elem value values);
      strMatching =
        pattern:
        type "strMatching" (value: builtins.isString value && builtins.match pattern value != null);
      listOf = of: type "listOf" (value: builtins.isList value && builtins.all of.check value);
      nullOr = of: type "nullOr" (value: value == null || of.check value);
    };

  # One module, evaluated with these settings: its config, every option checked against
  # its type. Settings of options that do not exist are an error, as in NixOS.
  evalModule =
    {
      module,
      pkgs,
      settings,
    }:
    let
      result = module {
        inherit config pkgs;
        lib = import ./lib.nix;
      };
      value =
        path: option: given:
        let
          chosen = if given != null then given.value else option.default;
        in
        if option.type.check chosen then
          chosen
        else
          throw "the option ${path} is not of type ${option.type.name}";
      fill =
        path: options: given:
        let
          unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames given);
        in
        if unknown != [ ] then
          throw "the option ${path}${builtins.head unknown} does not exist"
        else
          builtins.mapAttrs (
            name: option:
            if option._type or "" == "option" then
              value "${path}${name}" option (if given ? ${name} then { value = given.${name}; } else null)
            else
              fill "${path}${name}." option (given.${name} or { })
          ) options;
      config = fill "" result.options settings;
    in
    if result.config._type or "" == "if" then
      (if result.config.condition then result.config.content else { })
    else
      result.config;
}
