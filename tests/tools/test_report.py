"""The report page in a real browser, at the width of a phone and of a desk; and the model card."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from tests.conftest import Project
from tools import charts

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
    for file, name in (("evaluate", "evaluate"), ("onnx/float32", "onnx_eval")):
        metrics = json.loads((finished.folder / f"metrics/{file}.json").read_text())
        provenance = json.loads((finished.folder / f"metrics/provenance/{name}.json").read_text())
        for words in (
            f"{100 * metrics['top1']:.2f}",
            f"{metrics['loss']:.4f}",
            provenance["data"][:10],
            finished.start[:10],
        ):
            assert words in " ".join(text.words) and words in card


def rows(page, heading):
    """Cells of the first table after a heading of the page, row by row."""
    table = page.split(heading, 1)[1].split("</table>")[0]
    return [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")][2:]


def test_tables_of_runtimes_and_of_their_differences(finished, reports):
    page = (reports / "report.html").read_text()
    of = {"MindSpore": "evaluate", "ONNX Runtime": "onnx/float32", "C++, MindSpore Lite": "infer310"}
    of |= {f"ONNX Runtime, {kind}": f"onnx/{kind}" for kind in ("float16", "int8")}
    found = {name: cells for name, *cells in rows(page, "</h1>")}
    assert set(found) == set(of)
    for name, file in of.items():
        metrics = json.loads((finished.folder / f"metrics/{file}.json").read_text())
        top1, interval, top5, loss, images = found[name]
        low, high = map(float, interval.split(" - "))
        assert (float(top1), float(top5)) == (round(100 * metrics["top1"], 2), round(100 * metrics["top5"], 2))
        assert low < float(top1) < high and float(loss) == round(metrics["loss"], 4) and int(images) == 359
    differences = {pair: (most, share) for pair, most, share in rows(page, "Do the runtimes answer alike?")}
    assert len(differences) == 10 and all(float(most.rstrip("%")) >= 0.01 for most, _ in differences.values())
    for pair in ("mindspore-onnx", "mindspore-infer310", "onnx-infer310"):
        assert differences[pair] == ("0.01%", "100.00%")


def test_what_a_clock_says_is_there_only_where_the_run_was_made(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "elsewhere", symlinks=True)
    shutil.rmtree(tmp_path / "elsewhere/metrics/clock")
    Project(tmp_path / "elsewhere").run("python", "-m", "tools.report")
    page = (tmp_path / "elsewhere/reports/report.html").read_text()
    assert "Training speed" not in page and page.count("<td>elsewhere</td>") == 6


@pytest.mark.parametrize("epochs", [1, 2, 350])
def test_axes_have_whole_epochs_and_plain_numbers(epochs):
    rates = [{"step": epoch, "learning_rate": 1.6e-5 / epoch} for epoch in range(1, epochs + 1)]
    drawn = charts.curves({"curves": {"learning_rate": rates}, "provenance": {}})
    texts = re.findall(r"<text.*?>(.*?)</text>", drawn["Learning rate"])
    numbers = [text.replace("\N{MINUS SIGN}", "-") for text in texts if re.search(r"\d", text)]
    assert numbers and not [text for text in numbers if re.search("[a-z×]", text)], numbers
    along, up = [n for n in numbers if "." not in n], [n for n in numbers if "." in n]
    assert all(int(n) == float(n) for n in along) and len(set(up)) == len(up) > 2, numbers


def test_what_was_never_evaluated_has_no_report(project):
    done = project.run("python", "-m", "tools.report", check=False)
    assert done.returncode == 2 and "`make repro` makes it" in done.stderr
