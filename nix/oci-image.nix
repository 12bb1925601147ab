# A layered image that runs as nobody:
#
#   nix build .#oci-image && docker load < result
#   docker run --network host qntx-python-plugin:0.3.7
#
# The plugin listens on loopback, as everywhere. To reach it from another container,
# give it an address and a token: --address 0.0.0.0 --token-file /run/secrets/token.
{
  dockerTools,
  cacert,
  tzdata,
  uv,
  qntx-python-plugin,
}:

let
  second = 1000000000;
  inherit (qntx-python-plugin) python;
  alive = "import urllib.request as u; u.urlopen('http://127.0.0.1:9000/health', timeout=4)";
in
dockerTools.buildLayeredImage {
  name = "qntx-python-plugin";
  tag = qntx-python-plugin.version;
  contents = [
    qntx-python-plugin
    uv
    cacert
    tzdata
  ];
  extraCommands = "mkdir -m 1777 tmp";
  config = {
    User = "65534:65534";
    Entrypoint = [ "${qntx-python-plugin}/bin/qntx-python-plugin" ];
    Cmd = [
      "--port"
      "9000"
    ];
    ExposedPorts."9000/tcp" = { };
    Env = [
      "HOME=/tmp"
      "SSL_CERT_FILE=${cacert}/etc/ssl/certs/ca-bundle.crt"
      "TZDIR=${tzdata}/share/zoneinfo"
    ];
    Healthcheck = {
      Test = [
        "CMD"
        python.interpreter
        "-I"
        "-c"
        alive
      ];
      Interval = 30 * second;
      Timeout = 5 * second;
      StartPeriod = 5 * second;
      Retries = 3;
    };
  };
}
