"""The settings of one process: precedence, origins, and faults that name everything at once."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from crossdock.config import LogSettings, SecuritySettings, Settings, load_root_key, load_settings, setting_fields
from crossdock.errors import ConfigurationError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file and environment every setting has its default and says so."""
    monkeypatch.chdir(tmp_path)

    settings = load_settings(environment={})

    assert Settings() == settings
    assert "default" == settings.origin("store.url")


def test_command_line_wins_over_environment_over_file(tmp_path: Path) -> None:
    """The nearest source wins and is named as the origin."""
    file = write(tmp_path / "c.toml", '[web]\nport = 1\nhost = "0.0.0.0"\n[flow]\nbatch_events_max = 9\n')

    settings = load_settings(
        file, environment={"CROSSDOCK_WEB_PORT": "2", "CROSSDOCK_WEB_HOST": "::1"}, overrides={"web.port": 3}
    )

    assert (3, "::1", 9) == (settings.web.port, settings.web.host, settings.flow.batch_events_max)
    assert ["command line", "environment CROSSDOCK_WEB_HOST", f"file {file}"] == [
        settings.origin(name) for name in ("web.port", "web.host", "flow.batch_events_max")
    ]


def test_unknown_key_names_the_nearest() -> None:
    """A misspelled setting is an error that offers the right name."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={"CROSSDOCK_STOR_URL": "sqlite:///x.db"})

    assert "XD-CFG-002" == caught.value.code
    assert ("Did you mean CROSSDOCK_STORE_URL?",) == caught.value.hint


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    """One start shows all faults of file and environment, so nobody repairs them one by one."""
    file = write(tmp_path / "c.toml", '[web]\nprot = 1\nport = 70000\n[store]\nurl = "mysql://x"\n')

    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environment={"CROSSDOCK_LOG_LEVEL": "loud"})

    assert ["XD-CFG-002", "XD-CFG-003", "XD-CFG-003", "XD-CFG-003"] == [f.code for f in caught.value.findings]
    assert "Did you mean web.port?" == caught.value.findings[0].hint


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    """A list setting takes commas in the environment and is checked item by item."""
    settings = load_settings(environment={"CROSSDOCK_SECURITY_ALLOW_PRIVATE_NETWORKS": "10.0.0.0/8, 127.0.0.1/32"})

    assert ("10.0.0.0/8", "127.0.0.1/32") == settings.security.allow_private_networks
    with pytest.raises(ConfigurationError, match=r"10\.0\.0\.1/8"):
        load_settings(environment={"CROSSDOCK_SECURITY_ALLOW_PRIVATE_NETWORKS": "10.0.0.1/8"})


@pytest.mark.parametrize("content", ["[web", "\x00", None])
def test_unreadable_file_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    """A named file that is broken or missing stops the start with its name in the message."""
    file = tmp_path / "c.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environment={})

    assert "XD-CFG-004" == caught.value.code
    assert str(file) in str(caught.value)


def test_root_key_is_made_once_and_private(tmp_path: Path) -> None:
    """The key file is created with mode 0600 and stays the same afterwards."""
    settings = Settings(security=SecuritySettings(root_key_file=str(tmp_path / "var/root.key")))

    key = load_root_key(settings, create=True)

    assert 32 == len(key)
    assert key == load_root_key(settings, create=True)
    assert 0o600 == stat.S_IMODE((tmp_path / "var/root.key").stat().st_mode)


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"x" * 31).decode()])
def test_a_bad_root_key_is_refused(tmp_path: Path, text: str) -> None:
    """A key that is missing, no base64 or too short is refused, and never shown."""
    settings = Settings(security=SecuritySettings(root_key=text, root_key_file=str(tmp_path / "absent")))

    with pytest.raises(ConfigurationError) as caught:
        load_root_key(settings)

    assert "XD-CFG-005" == caught.value.code
    assert not text or text not in str(caught.value)


def test_settings_never_show_the_root_key() -> None:
    """Printing settings, as a log or a failing test does, leaves the key out."""
    assert "hunter2" not in repr(Settings(security=SecuritySettings(root_key="hunter2")))


def test_variables_are_unambiguous() -> None:
    """Each setting has one variable and a description."""
    fields = setting_fields()

    assert len(fields) == len({field.variable for field in fields})
    assert [] == [field.name for field in fields if not field.description]


def test_sqlite_path_and_public_url() -> None:
    """Three slashes are relative, four absolute; the public address falls back to host and port."""
    paths = [
        load_settings(environment={"CROSSDOCK_STORE_URL": f"sqlite:///{p}"}).store.sqlite_path for p in ("a", "/b")
    ]

    assert [Path("a"), Path("/b")] == paths
    assert "http://127.0.0.1:8600" == Settings(log=LogSettings(level="error")).public_url


def test_every_setting_is_read_by_something(project: Path) -> None:
    """No setting promises what nothing does: each is read somewhere in the product."""
    texts = [path.read_text() for path in (project / "src/crossdock").rglob("*.py") if path.name != "config.py"]
    # Read in config.py itself, by `load_root_key` and `FlowSettings.weights`.
    own = {"security.root_key", "flow.tenant_weights"}

    names = [(field.name, "." + field.name.partition(".")[2]) for field in setting_fields()]
    assert [] == [name for name, read in names if name not in own and not any(read in text for text in texts)]
