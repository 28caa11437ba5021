"""The report page in a real browser, at the width of a phone and of a desk; and the model card."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

PROBE = """<!doctype html><body><script>
const results = {};
for (const width of [390, 1280]) {
  const frame = document.createElement('iframe');
  frame.style = `width:${width}px;height:4000px;border:0`;
  frame.srcdoc = PAGE;
  frame.onload = () => {
    const page = frame.contentDocument;
    results[width] = {
      scroll: page.documentElement.scrollWidth,
      drawn: [...page.querySelectorAll('svg, img')].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height]),
      images: [...page.images].map(i => i.naturalWidth),
      marks: [...page.querySelectorAll('svg')].map(e => e.querySelectorAll('path, use, image').length),
    };
    if (Object.keys(results).length == 2) document.title = JSON.stringify(results);
  };
  document.body.append(frame);
}
</script></body>"""


@pytest.fixture(scope="module")
def reports(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    finished.run("python", "-m", "tools.report", folder)
    return folder


def test_the_page_opens_offline_and_draws_everything(reports, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no chromium on this machine (Debian package chromium)")
    page = (reports / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page asks for another file"
    (tmp_path / "probe.html").write_text(PROBE.replace("PAGE", json.dumps(page).replace("</", "<\\/")))
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
        "--enable-logging=stderr",
    ]
    command += ["--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path}/probe.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stdout[:500] + done.stderr[-500:]
    for width, found in json.loads(title[1].replace("&amp;", "&")).items():
        assert found["scroll"] <= int(width), f"the page is wider than {width} pixels"
        assert len(found["drawn"]) == 8 and all(w > 100 and h > 50 for w, h in found["drawn"]), found
        assert min(found["marks"]) > 5 and min(found["images"]) > 100


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words.append(data)


def test_page_and_card_say_what_the_metrics_say(finished, reports):
    text = Text()
    text.feed((reports / "report.html").read_text())
    card = (reports / "model-card.md").read_text()
    for name in ("evaluate", "onnx_eval"):
        metrics = json.loads((finished.folder / f"metrics/{name}.json").read_text())
        provenance = json.loads((finished.folder / f"metrics/provenance/{name}.json").read_text())
        for words in (
            f"{metrics['top1']:.2%}",
            f"{metrics['loss']:.4f}",
            provenance["data"][:10],
            provenance["revision"][:10],
        ):
            assert words in " ".join(text.words) and words in card


def test_what_was_never_evaluated_has_no_report(project):
    done = project.run("python", "-m", "tools.report", check=False)
    assert done.returncode == 2 and "`make eval` makes it" in done.stderr
