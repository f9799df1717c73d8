"""What the lab's DNS host serves: zones, BIND's configuration, and the package cache beside it. Pure text.

    zones_of           the zones an inventory needs
    nameserver_label   the DNS host's name in each zone
    zone_file, named_conf, nginx_conf
    upstream_resolvers this machine's own resolvers, for BIND to forward to
    HOSTS_ZONE         the zone with the lab hosts' short names; the hosts' search domain

The zones of the inventory hold SOA, NS and the DNS host's address and nothing else: what mailprov publishes
must come from `apply`. Short names resolve from the first second in a zone of the lab's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from mailprov.lab.keys import TSIG_ALGORITHM, TSIG_NAME
from mailprov.lab.state import LabState
from mailprov.model.hostnames import inside
from mailprov.model.inventory import Inventory

HOSTS_ZONE = "lab.internal"  # .internal is reserved for private use by ICANN
CACHE_PORT = 3142
ZONE_DIRECTORY = "/var/lib/bind/lab"
CACHE_DIRECTORY = "/var/cache/packages"


def zones_of(inventory: Inventory) -> tuple[str, ...]:
    """Domains, their aliases, and the parent of each host's fqdn that is in none of those, sorted.

    A parent of one label would be a top-level domain, which would hide the rest of it: then the fqdn is it.
    """
    zones = {domain.name for domain in inventory.domains if domain.hosts or not domain.hosted}
    zones.update(alias for domain in inventory.domains for alias in domain.domain_aliases)
    for host in inventory.hosts:
        if not any(inside(host.fqdn, zone) for zone in zones):
            parent = host.fqdn.partition(".")[2]
            zones.add(parent if "." in parent else host.fqdn)
    return tuple(sorted(zones))


def nameserver_label(inventory: Inventory, zones: Iterable[str]) -> str:
    """ns1, unless a host of the inventory has this name in one of the zones."""
    taken = {host.fqdn for host in inventory.hosts}
    label = "ns1"
    while any(f"{label}.{zone}" in taken for zone in zones):
        label = f"lab-{label}"
    return label


def reverse_zones(state: LabState) -> tuple[str, ...]:
    """The zones for PTR records of the lab's subnets (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    zones = [".".join(reversed(state.subnet.split(".")[:3])) + ".in-addr.arpa"]
    if state.subnet6:
        zones.append(ip_network(state.subnet6)[0].reverse_pointer[32:])
    return tuple(zones)


def zone_file(zone: str, state: LabState) -> str:
    """The zone as it is when the lab is pristine. Missing names are forgotten after 5 s (RFC 2308)."""
    forward = not zone.endswith(".arpa")
    server = f"{state.nameserver_label}.{zone if forward else HOSTS_ZONE}."
    lines = [
        "$TTL 60",
        f"@ SOA {server} hostmaster.{HOSTS_ZONE}. {int(time.time())} 3600 600 86400 5",
        f"@ NS {server}",
    ]
    if zone == HOSTS_ZONE:
        names = {host.name: host for host in state.hosts}
        for name, host in {**names, state.nameserver_label: state.dns}.items():
            lines += _addresses(name, host.address, host.address6)
    elif forward:
        lines += _addresses(state.nameserver_label, state.dns.address, state.dns.address6)
    else:
        address = state.dns.address6 if zone.endswith("ip6.arpa") else state.dns.address
        lines.append(f"{ip_address(address).reverse_pointer}. PTR {server}")
    return "\n".join(lines) + "\n"


def _addresses(name: str, address: str, address6: str) -> list[str]:
    return [f"{name} A {address}", *([f"{name} AAAA {address6}"] if address6 else [])]


def all_zones(state: LabState) -> tuple[str, ...]:
    """What the DNS host is authoritative for: zones of the inventory, reverse zones, short names."""
    return tuple(dict.fromkeys((*state.zones, *reverse_zones(state), HOSTS_ZONE)))


def named_conf(state: LabState, secret: str, resolvers: Sequence[str]) -> str:
    """BIND's whole configuration: authoritative with signed updates, recursive for the lab."""
    forward = (
        f"  forwarders {{ {' '.join(r + ';' for r in resolvers)} }};\n  forward only;\n" if resolvers else ""
    )
    lab = " ".join(f"{net};" for net in ("localhost", state.subnet, state.subnet6) if net)
    zones = "".join(
        f'zone "{zone}" {{ type primary; file "{ZONE_DIRECTORY}/{zone}";'
        f' allow-update {{ key "{TSIG_NAME}"; }}; }};\n'
        for zone in all_zones(state)
    )
    return f"""key "{TSIG_NAME}" {{ algorithm {TSIG_ALGORITHM}; secret "{secret}"; }};
acl lab {{ {lab} }};
options {{
  directory "/var/cache/bind";
  listen-on {{ any; }};
  listen-on-v6 {{ any; }};
  allow-query {{ lab; }};
  allow-recursion {{ lab; }};
  allow-transfer {{ key "{TSIG_NAME}"; }};
  dnssec-validation no;
{forward}  notify no;
  max-ncache-ttl 5;
  check-names primary ignore;
  max-cache-size 64m;
}};
{zones}"""


def nginx_conf() -> str:
    """A forward proxy for apt that keeps what never changes: packages, and index files under their hash.

    A second host that asks for a file on its way waits 15 s for it and then fetches it itself; a slow mirror
    is given ten minutes, so the cache is never the one that gives up first.
    """
    return f"""user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  resolver 127.0.0.1 ipv6=off;
  proxy_cache_path {CACHE_DIRECTORY} levels=1:2 keys_zone=packages:10m
    max_size=8g inactive=90d use_temp_path=off;
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Connection "";
  proxy_connect_timeout 60s;
  proxy_read_timeout 600s;
  server {{
    listen {CACHE_PORT};
    location / {{ proxy_pass http://$http_host$request_uri; }}
    location ~ "(\\.u?deb|/by-hash/[A-Za-z0-9]+/[0-9a-f]+)$" {{
      proxy_pass http://$http_host$request_uri;
      proxy_cache packages;
      proxy_cache_key $http_host$uri;
      proxy_cache_valid 200 90d;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;
      proxy_cache_lock on;
      proxy_cache_lock_timeout 15s;
      proxy_cache_lock_age 600s;
      proxy_cache_use_stale error timeout;
      add_header X-Cache $upstream_cache_status;
    }}
  }}
}}
"""


def apt_conf(state: LabState) -> str:
    """apt on a lab host: plain HTTP through the cache, HTTPS past it, patience."""
    return f"""Acquire::http::Proxy "http://{state.dns.address}:{CACHE_PORT}";
Acquire::https::Proxy "DIRECT";
Acquire::http::Timeout "300";
Acquire::Retries "3";
"""


def upstream_resolvers() -> list[str]:
    """IPv4 resolvers of this machine; behind a stub on loopback, those that systemd-resolved asks."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        found = [
            fields[1] for line in lines if (fields := line.split())[:1] == ["nameserver"] and len(fields) > 1
        ]
        usable = [address for address in found if ":" not in address and not address.startswith("127.")]
        if usable:
            return usable
    return []
