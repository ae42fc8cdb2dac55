"""One POST to an address that was checked: resolved once and pinned, no redirections, no proxy."""

from __future__ import annotations

from typing import Final

from dashboard.alerts.addresses import AllowedAddresses, RefusedAddressError

TIMEOUT_S: Final = 10.0


async def post(
    address: str, content: bytes, headers: dict[str, str], allowed: AllowedAddresses
) -> tuple[int, str]:
    """POST to an http(s) URL; return the status (0: none) and why it failed, or an empty string."""
    # Loaded for the first notification, as many hubs send none: 3 MB.
    import httpx

    try:
        url = httpx.URL(address)
        port = url.port or (443 if url.scheme == "https" else 80)
        pinned = url.copy_with(host=await allowed.resolve(url.host, port))
        # The name is still the one in the certificate and in the request.
        named = {"Host": url.netloc.decode("ascii"), "User-Agent": "roomtone"} | headers
        extensions = {"sni_hostname": url.host}
        # No proxy of the environment: the address is used as it was written.
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            request = client.build_request(
                "POST", pinned, content=content, headers=named, extensions=extensions
            )
            answer = await client.send(request, stream=True)
            await answer.aclose()
            return answer.status_code, "" if answer.is_success else f"status {answer.status_code}"
    except RefusedAddressError as error:
        return 0, str(error)[:200]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return 0, f"{type(error).__name__}: {error}"[:200]
