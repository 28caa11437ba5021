"""The page of `dvc plots show`: it needs no network, and a browser draws every plot of dvc.yaml on it."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT

CHART = re.compile(r'<div id="(\w+)" class="vega-embed.*?</canvas>', re.S)


@pytest.fixture
def page(committed):
    committed.run("dvc", "plots", "show")
    assert committed.run("git", "status", "--porcelain").stdout == ""  # `make verify` would refuse
    return committed.folder / "dvc_plots/index.html"


def test_nothing_is_loaded_from_elsewhere(page):
    text = page.read_text()
    assert not re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)\s*=\s*["']?(?:https?:)?//""", text)
    for name in ("vega 5.33.0", "vega-lite 5.23.0", "vega-embed 6.29.0"):
        assert f"/*! {name}\nCopyright" in text and text.count(f"/*! {name}\n") == 1


def test_a_browser_without_network_draws_all_of_it(page):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no chromium on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=390,3000", page.as_uri()]
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    names = [
        next(iter(plot)) for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] if type(plot) is dict
    ]
    assert CHART.findall(drawn) == [name.replace(" ", "_") for name in names]
    assert "mistakes.png" in drawn
