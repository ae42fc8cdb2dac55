"""What `fleet keys`, `publish`, `refresh`, `withdraw` and `group` do. Each takes the parsed options."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from edge.inference import bundle as bundles
from edge.releases import archive
from edge.releases.metadata import Release, Target
from edge.util.errors import NotInForceError, UserError
from edge.util.text.patterns import in_words
from edge.util.text.text_file import read_text
from provisioning.fleet.console import print_status as say
from provisioning.fleet.site import MODELS, not_enrolled
from provisioning.publish import bundle_checks, keys, rotation, setup
from provisioning.publish.catalogue import About, Catalogue
from provisioning.publish.signing import sign_targets
from provisioning.publish.upload import Hub, hub_of

MIN_REASON: Final = 10


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """Open the site's folder of models, and finish a key rotation that was interrupted. Raises `UserError`."""
    catalogue = Catalogue(options.site / MODELS)
    if getattr(options, "clock_is_right", False):
        catalogue.trust_clock()
    rotation.activate_keys(catalogue)
    return catalogue


def passphrase_of(options: argparse.Namespace) -> keys.Passphrase:
    """Return a function that asks for each passphrase once per command."""
    if not hasattr(options, "asker"):
        options.asker = keys.asker(options.passphrase_file)
    found: keys.Passphrase = options.asker
    return found


def keys_init(options: argparse.Namespace) -> int:
    """Make the signing keys of a site and the first metadata (`fleet keys init`)."""
    try:
        ca = "" if options.ca is None else read_text(options.ca, "`--ca`")
        tree = {"profile": options.profile, "url": options.url, "ca": ca}
        about = msgspec.convert(tree, About)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--ca {options.ca}: cannot be read ({error})") from None
    except msgspec.ValidationError as error:
        raise UserError(f"fleet keys init: {in_words(error, tree)}") from None
    catalogue = setup.init(options.site / MODELS, about, passphrase_of(options))
    say(f"{catalogue.folder}: new keys, profile {about.profile!r}")
    own_hub = (options.site.absolute().parent / "updates").is_dir()
    if own_hub:
        say(
            "1. the hub of this machine takes it over when it starts: end `hub run` with Ctrl-C and start it again"
        )
    else:
        say(f"1. give {catalogue.hub} to the hub: roomtone dashboard --updates DIR, and remove it here")
    say("2. devices get it with their join file: roomtone fleet enrol, or fleet renew where they have one")
    say(f"   (without one: {catalogue.roots()[0]} as updates.root_file, where only root may write)")
    say("3. keep root*.key on a stick in a drawer: you need them only to change keys")
    print(catalogue.roots()[0])
    return 0


def keys_show(options: argparse.Namespace) -> int:
    """Print which keys sign what, and when their metadata expires (`fleet keys show`)."""
    catalogue = catalogue_of(options)
    root = catalogue.root().signed
    rows = [
        {"role": role, "keys": sorted(one.keyids), "threshold": one.threshold}
        for role, one in root.roles.items()
    ]
    if options.json:
        ends = {"root": root.expires, "targets": catalogue.targets().signed.expires}
        print(
            msgspec.json.encode(
                {"url": catalogue.about.url, "root_version": root.version, "roles": rows, "ends": ends}
            ).decode()
        )
        return 0
    print(f"{catalogue.about.url}, profile {catalogue.about.profile}, root {root.version}")
    for row in rows:
        print(f"{row['role']:10} {row['threshold']} of {', '.join(key[:12] for key in row['keys'])}")  # type: ignore[attr-defined]
    print(f"root ends {root.expires:%Y-%m-%d}, targets {catalogue.targets().signed.expires:%Y-%m-%d}")
    return 0


def keys_rotate(options: argparse.Namespace) -> int:
    """Replace the key of a role (`fleet keys rotate`)."""
    catalogue = catalogue_of(options)
    if options.role == "token":
        say(f"give {rotation.new_token(catalogue)} to the hub; until then it takes nothing from here")
        return 0
    passphrase, hub = passphrase_of(options), _hub_to_use(catalogue, options)
    whole = rotation.rotate(catalogue, options.role, options.key, passphrase)
    if not whole:
        say(f"{catalogue.pending()} waits for further root keys: roomtone fleet keys sign --key FILE")
        return 1
    return _after_root(catalogue, hub, passphrase, options.role)


def keys_sign(options: argparse.Namespace) -> int:
    """Add a signature to a root that waits for further ones (`fleet keys sign`)."""
    catalogue = catalogue_of(options)
    passphrase, hub = passphrase_of(options), _hub_to_use(catalogue, options)
    whole, role = rotation.sign(catalogue, options.key, passphrase)
    if not whole:
        say("still too few signatures")
        return 1
    return _after_root(catalogue, hub, passphrase, role)


def _after_root(catalogue: Catalogue, hub: Hub | None, passphrase: keys.Passphrase, role: str) -> int:
    # After a change of its key the list is signed again: devices would refuse the old signature.
    rotation.resign_if_needed(catalogue, passphrase)
    say(f"root {catalogue.root().signed.version} is signed")
    if role == "online":
        say(f"give {catalogue.hub / 'online.key'} to the hub first, then: roomtone fleet refresh")
        return 0
    _upload(catalogue, hub, passphrase)
    return 0


def publish_bundle(options: argparse.Namespace) -> int:
    """Sign a bundle and upload it to the hub; no device gets it before `push`, except with --everywhere."""
    catalogue = catalogue_of(options)
    hub = _hub_to_use(catalogue, options)
    about = sign_bundle(catalogue, options, percent=100 if options.everywhere else 0)
    print(about.full_name, flush=True)
    _upload(catalogue, hub, passphrase_of(options))
    return 0


def check_data(options: argparse.Namespace) -> None:
    """Raises `UserError` where --data names no folder, also when there is nothing to compare yet."""
    if options.data is not None and not options.data.is_dir():
        raise UserError(f"--data {options.data}: no such folder; it holds the recordings to compare with")


def sign_bundle(catalogue: Catalogue, options: argparse.Namespace, *, percent: int) -> Release:
    """Check and sign a bundle. Raises `UserError` for an objection that --force does not answer."""
    check_data(options)
    bundle = bundles.load(bundles.find(options.bundle))
    bundle_checks.refuse_old(catalogue, bundle, options.channel, options.again)
    reason = (options.force or "").strip()
    if options.force is not None and len(reason) < MIN_REASON:
        raise UserError("--force needs a reason in a few words; every device can read it")
    with tempfile.TemporaryDirectory(prefix="roomtone-publish-") as scratch:
        current = bundle_checks.current_bundle(catalogue, bundle, options.channel, Path(scratch))
        objection = bundle_checks.check(bundle, current, options.data, protocols=options.protocol or [])
    if objection and not reason:
        raise UserError(f"{bundle.full_name} is not published: {objection} (or --force REASON)")
    if objection:
        say(f"published against this objection: {objection}")
    about = bundle_checks.release_of(
        bundle, catalogue.next_release(), options.channel, percent=percent, forced=reason if objection else ""
    )
    signer = setup.targets_signer(catalogue, options.targets_key, passphrase_of(options))
    sign_targets(catalogue, signer, put=[(about, archive.pack(bundle.path))])
    say(f"{about.full_name}: signed as release {about.release}")
    return about


def refresh(options: argparse.Namespace) -> int:
    """Upload what is new to the hub, renew the timestamp, and renew root and targets when they expire soon.

    With `--no-upload` only look whether the hub serves what is signed here.
    """
    catalogue = catalogue_of(options)
    due = catalogue.due()
    if "targets" in due or options.targets:
        signer = setup.targets_signer(catalogue, options.targets_key, passphrase_of(options))
        setup.resign_targets(catalogue, signer)
        say("targets: signed again")
    elif rotation.resign_if_needed(catalogue, passphrase_of(options)):
        say("targets: signed again, with the current key")
    if "root" in due:
        say("the root ends soon: roomtone fleet keys rotate root")
    hub = hub_of(catalogue, options.ca)
    if options.no_upload:
        setup.to_local_hub(catalogue)
    else:
        hub.bring(catalogue)
        hub.refresh()
    print(hub.check_served(catalogue))
    return 0


def withdraw(options: argparse.Namespace) -> int:
    """Withdraw a version: no device gets it any more, and those that run it go back to the previous one."""
    catalogue = catalogue_of(options)
    gone = catalogue.find(options.version)
    listed = catalogue.listed()
    back = bundle_checks.latest_but(listed, gone.release.name)
    drop = [t.release.path for t in listed if t.release.full_name == gone.release.full_name]
    hub = _hub_to_use(catalogue, options)
    signer = setup.targets_signer(catalogue, options.targets_key, passphrase_of(options))
    put = [] if back is None else [_again(catalogue, back, gone)]
    sign_targets(catalogue, signer, put=put, drop=drop)
    if back is None:
        say(
            f"{gone.release.full_name} is withdrawn; no other release is published, so devices that run it keep it"
        )
        say("there: roomtone model rollback, or publish the one before: fleet publish BUNDLE --again")
    else:
        say(
            f"{gone.release.full_name} is withdrawn; release {put[0][0].release} brings {back.release.full_name} back"
        )
    _upload(catalogue, hub, passphrase_of(options))
    return 0


def _again(catalogue: Catalogue, back: Target, gone: Target) -> tuple[Release, Path]:
    about = msgspec.structs.replace(
        back.release, release=catalogue.next_release(), nodes=(), percent=100, withdraws=gone.release.version
    )
    return about, catalogue.archive(back.release.path, back.sha256)


def group(options: argparse.Namespace) -> int:
    """Name a set of devices for `push --to`; without devices the group is removed."""
    catalogue = catalogue_of(options)
    groups = dict(catalogue.about.groups)
    if options.nodes:
        groups[options.name] = tuple(options.nodes)
    elif groups.pop(options.name, None) is None:
        raise UserError(f"no group {options.name!r}; known: {', '.join(groups) or 'none'}")
    tree = msgspec.to_builtins(msgspec.structs.replace(catalogue.about, groups=groups))
    try:
        about = msgspec.convert(tree, About)
    except msgspec.ValidationError as error:
        raise UserError(f"fleet group: {in_words(error, tree)}") from None
    catalogue.save_about(about)
    members = groups.get(options.name)
    say(f"{options.name}: {', '.join(members)}" if members else f"{options.name}: removed")
    print_not_enrolled(options.site, members or ())
    return 0


def print_not_enrolled(site: Path, nodes: Sequence[str]) -> None:
    """Print which of the devices the site does not know: a wrong name, or one that is enrolled later."""
    if missing := not_enrolled(site, nodes):
        are = "is" if len(missing) == 1 else "are"
        say(f"{', '.join(missing)} {are} not enrolled here; `roomtone fleet list` shows the names")


def _hub_to_use(catalogue: Catalogue, options: argparse.Namespace) -> Hub | None:
    """Return the hub to upload to, None with --no-upload. Raises `UserError`: before anything is signed."""
    return None if options.no_upload else hub_of(catalogue, options.ca)


def _upload(catalogue: Catalogue, hub: Hub | None, passphrase: keys.Passphrase) -> None:
    rotation.resign_if_needed(catalogue, passphrase)
    if hub is None:
        raise NotInForceError(
            f"NOT IN FORCE: {setup.to_local_hub(catalogue)} is up to date here; copy it to the hub, then "
            "`roomtone fleet refresh --no-upload` looks whether the hub serves it"
        )
    try:
        hub.bring(catalogue)
        hub.check_served(catalogue)
    except NotInForceError:
        raise
    except UserError as error:
        raise NotInForceError(
            f"NOT IN FORCE: {error}; it is signed here, and `roomtone fleet refresh` brings it to the hub"
        ) from None
    say(f"{catalogue.about.url} serves it")
