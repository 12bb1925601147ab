# services.qntx-python: the plugin as a service of its own, without a QNTX core.
self:
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.qntx-python;
  arguments = [
    "--port"
    (toString cfg.port)
    "--address"
    cfg.address
    "--log-level"
    cfg.logLevel
    "--timeout-secs"
    (toString cfg.timeoutSecs)
    "--memory"
    cfg.memory
    "--store"
    cfg.store
  ]
  ++ lib.concatMap (path: [
    "--python-path"
    path
  ]) cfg.pythonPaths
  ++ lib.optionals (cfg.tokenFile != null) [
    "--token-file"
    "%d/token"
  ]
  ++ lib.optionals (cfg.tls.certificate != null) [
    "--tls-cert"
    "%d/tls-cert"
    "--tls-key"
    "%d/tls-key"
  ]
  ++ lib.optionals (cfg.tls.clientAuthority != null) [
    "--tls-client-ca"
    "%d/tls-client-ca"
  ]
  ++ cfg.extraArgs;
  # Read by systemd, as root; the service gets copies that are its alone.
  credentials =
    lib.optionals (cfg.tokenFile != null) [ "token:${cfg.tokenFile}" ]
    ++ lib.optionals (cfg.tls.certificate != null) [ "tls-cert:${cfg.tls.certificate}" ]
    ++ lib.optionals (cfg.tls.key != null) [ "tls-key:${cfg.tls.key}" ]
    ++ lib.optionals (cfg.tls.clientAuthority != null) [ "tls-client-ca:${cfg.tls.clientAuthority}" ];
in
{
  options.services.qntx-python = {
    enable = lib.mkEnableOption "the QNTX Python plugin, standalone";
    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      defaultText = lib.literalExpression "qntx-python.packages.\${system}.default";
      description = "The plugin, or one made with `mkPythonPlugin`.";
    };
    port = lib.mkOption {
      type = lib.types.port;
      default = 9000;
      description = "The port for gRPC and HTTP.";
    };
    address = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      description = "Where to listen. Other than loopback needs `tokenFile` or `tls.clientAuthority`: this port executes code.";
    };
    tokenFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "A file with the token that callers have to send.";
    };
    tls = {
      certificate = lib.mkOption {
        type = lib.types.nullOr lib.types.path;
        default = null;
        description = "A PEM file with the certificate of the port and those up to its authority; with it the port speaks TLS.";
      };
      key = lib.mkOption {
        type = lib.types.nullOr lib.types.path;
        default = null;
        description = "A PEM file with the private key of `tls.certificate`; as text, since a path is copied into the store.";
      };
      clientAuthority = lib.mkOption {
        type = lib.types.nullOr lib.types.path;
        default = null;
        description = "A PEM file with authorities; clients need a certificate that one of them signed.";
      };
    };
    logLevel = lib.mkOption {
      type = lib.types.enum [
        "error"
        "warn"
        "info"
        "debug"
        "trace"
      ];
      default = "info";
      description = "How much to log.";
    };
    timeoutSecs = lib.mkOption {
      type = lib.types.ints.positive;
      default = 30;
      description = "How long an execution may take when its request does not say.";
    };
    memory = lib.mkOption {
      type = lib.types.strMatching "[0-9]+[KMG]?";
      default = "1G";
      description = "How much memory an execution may take.";
    };
    pythonPaths = lib.mkOption {
      type = lib.types.listOf lib.types.path;
      default = [ ];
      description = "Directories that executions may import from.";
    };
    store = lib.mkOption {
      type = lib.types.str;
      default = "/var/lib/qntx-python/attestations.db";
      description = "The file of the attestation store.";
    };
    extraArgs = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Further arguments.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion =
          cfg.tokenFile != null
          || cfg.tls.clientAuthority != null
          || cfg.address == "127.0.0.1"
          || cfg.address == "::1";
        message = "services.qntx-python: an address other than loopback needs tokenFile or tls.clientAuthority";
      }
      {
        assertion =
          (cfg.tls.certificate != null) == (cfg.tls.key != null)
          && (cfg.tls.clientAuthority == null || cfg.tls.certificate != null);
        message = "services.qntx-python: tls.certificate and tls.key go together, and tls.clientAuthority with both";
      }
    ];
    systemd.services.qntx-python = {
      description = "Sandboxed Python executions";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        ExecStart = "${lib.getExe cfg.package} ${lib.escapeShellArgs arguments}";
        Restart = "on-failure";
        DynamicUser = true;
        StateDirectory = "qntx-python";
        Environment = [ "XDG_STATE_HOME=/var/lib/qntx-python" ];
        # The plugin puts memory and process limits on its executions where it may.
        Delegate = "memory pids";
        TimeoutStopSec = 5;

        # What holds for the supervisor; executions get a tighter sandbox from it. Not
        # set: RestrictNamespaces and SystemCallFilter, which would take away the means
        # of that sandbox.
        CapabilityBoundingSet = "";
        LockPersonality = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        UMask = "0077";
      }
      // lib.optionalAttrs (credentials != [ ]) { LoadCredential = credentials; };
    };
  };
}
