"""One variable, and Caddy has a certificate that browsers know: the shipped Caddyfile against a real ACME authority.

The authority is another Caddy, in a network of its own where the name leads to this machine and ports 80 and 443 are
free; only its address is added to the file. What is not tried: Let's Encrypt itself, and the way there.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

NAME = "rooms.example.org"
AUTHORITY = """{
	admin off
	skip_install_trust
	http_port 9080
	https_port 9443
	default_sni acme.invalid
}
https://acme.invalid:9443 {
	tls internal
	acme_server
}
"""
INSIDE = """
set -eu
ip link set lo up
mount --bind "$1/hosts" /etc/hosts
python3 -m http.server --bind 127.0.0.1 8080 --directory "$1/www" >/dev/null 2>&1 & page=$!
XDG_DATA_HOME=$1/ca XDG_CONFIG_HOME=$1/ca caddy run --adapter caddyfile --config "$1/authority" 2>"$1/ca.log" & ca=$!
trap 'kill $page $ca ${proxy:-} 2>/dev/null; wait' EXIT
root=$1/ca/caddy/pki/authorities/local/root.crt
for _ in $(seq 150); do
  test -s "$root" && curl -sk https://acme.invalid:9443/acme/local/directory >/dev/null && break
  sleep 0.2
done
XDG_DATA_HOME=$1/data XDG_CONFIG_HOME=$1/data ROOMTONE_PUBLIC_HOST=$2 \\
  caddy run --adapter caddyfile --config "$1/Caddyfile" 2>"$1/proxy.log" & proxy=$!
for _ in $(seq 300); do
  curl -s --cacert "$root" -o "$1/answer" "https://$2/" && grep -q 'the page' "$1/answer" && break
  sleep 0.2
done
curl -sv --cacert "$root" "https://$2/" 2>&1 | grep -E 'subject|issuer|SSL certificate verify|the page'
curl -s -o /dev/null -w '%{http_code} %{redirect_url}\\n' "http://$2/"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own needs root")
def test_one_variable_gets_a_public_certificate_by_acme(tmp_path):
    missing = [program for program in ("caddy", "curl", "unshare", "ip") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not here: {', '.join(missing)}")
    if subprocess.run(["unshare", "-n", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("namespaces are forbidden here")
    shipped = (ROOT / "provisioning" / "hub" / "Caddyfile").read_text()
    assert shipped.count("\tadmin off\n") == 1
    root = tmp_path / "ca" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    acme = f"\tacme_ca https://acme.invalid:9443/acme/local/directory\n\tacme_ca_root {root}\n"
    (tmp_path / "Caddyfile").write_text(shipped.replace("\tadmin off\n", f"\tadmin off\n{acme}"))
    (tmp_path / "authority").write_text(AUTHORITY)
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {NAME} acme.invalid\n")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("the page")
    done = subprocess.run(
        ["unshare", "-n", "-m", "--kill-child", "-f", "sh", "-c", INSIDE, "sh", str(tmp_path), NAME],
        capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = done.stdout + done.stderr + (tmp_path / "proxy.log").read_text()[-3000:]
    assert "the page" in done.stdout, said
    assert "SSL certificate verify ok" in done.stdout, said
    assert f"308 https://{NAME}/" in done.stdout, said
    issued = list((tmp_path / "data").glob(f"caddy/certificates/acme.invalid*/{NAME}/{NAME}.crt"))
    assert issued, said
