"""What `bridge check` says of a cluster: asked now, with the rights that the bridge has."""

from collections.abc import Sequence
from dataclasses import replace

from adapters.kubernetes import explain
from adapters.kubernetes.profile import Profile
from bridge.backends.kubernetes import discovery
from bridge.backends.kubernetes.transport import Access, Transport
from bridge.core.errors import Refused


async def sentences(access: Access, profiles: Sequence[Profile]) -> list[str]:
    """Raises Unavailable."""
    transport = Transport(access)
    await transport.open()
    try:
        found = await discovery.discover(transport, profiles[0].namespace if profiles else "default")
        probed = next((profile for profile in profiles if profile.bridge_image is not None), None)
        if probed is not None:
            found = replace(found, image_volume=await discovery.image_volumes_work(transport, probed))
        lines = list(explain.capabilities(found))
        lines += [explain.partition(profile, found) for profile in profiles]
        lines.append(await _nodes(transport))
        return lines
    finally:
        await transport.close()


async def _nodes(transport: Transport) -> str:
    try:
        items, _ = await transport.list_all("/api/v1/nodes", {})
    except Refused:
        return "The cluster's nodes may not be looked at: those of the site file are taken as they stand there."
    names = ", ".join(sorted(item["metadata"]["name"] for item in items)[:20])
    return f"The cluster has {len(items)} {'node' if len(items) == 1 else 'nodes'}: {names}."
