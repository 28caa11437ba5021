"""tools/sign.py over what tools/publish.py wrote, with OpenSSL's keys; the card's head in Hugging Face's own reader.
`make test-peers` brings both libraries.
"""

import pytest

pytestmark = pytest.mark.peers


def sign(project, *args):
    return project.run("python", "-m", "tools.sign", *args, check=False)


def test_a_signature_holds_until_a_file_is_another(committed, tmp_path):
    new = "openssl ecparam -name prime256v1 -genkey -noout -out private.pem; openssl ec -in private.pem -pubout"
    committed.run("bash", "-c", f"{new} -out public.pem && openssl ecparam -name prime256v1 -genkey -noout -out x.pem")
    committed.run("python", "-m", "tools.publish")
    published = committed.folder / "build/publish"

    done = sign(committed, "verify", "--key", "public.pem")
    assert done.returncode == 2 and "model.sig: no such file; nobody signed this folder" in done.stderr
    done = sign(committed, "sign", "--key", "public.pem")
    assert done.returncode == 2 and "KEY=public.pem: not a private key" in done.stderr
    assert not (published / "model.sig").exists()
    assert "signs" in sign(committed, "sign", "--key", "private.pem").stdout
    assert sign(committed, "verify", "--key", "public.pem").returncode == 0

    committed.run("bash", "-c", "openssl ec -in x.pem -pubout -out other.pem")
    assert sign(committed, "verify", "--key", "other.pem").returncode == 1
    md5 = committed.run("md5sum", "models/effnet.ckpt").stdout.split()[0]
    thing = published / f"files/md5/{md5[:2]}/{md5[2:]}"
    data = bytearray(thing.read_bytes())
    data[-1] ^= 1
    thing.write_bytes(data)
    done = sign(committed, "verify", "--key", "public.pem")
    assert done.returncode == 1 and "does not hold: files/md5/" in done.stdout and "models/effnet.ckpt" in done.stdout
    thing.unlink()
    done = sign(committed, "verify", "--key", "public.pem")
    assert done.returncode == 1 and "models/effnet.ckpt" in done.stdout


def test_what_is_missing(committed):
    assert "build/publish: no such folder" in sign(committed, "sign", "--key", "private.pem").stderr
    committed.run("python", "-m", "tools.publish")
    done = sign(committed, "sign", "--key", "absent.pem")
    assert done.returncode == 2 and "KEY=absent.pem: no such key file; a pair of keys is made by: open" in done.stderr


def test_the_card_in_hugging_faces_reader(committed):
    from huggingface_hub import ModelCard

    committed.run("python", "-m", "tools.report")
    data = ModelCard.load(committed.folder / "reports/model-card.md").data
    assert data.license == "apache-2.0" and data.model_name == "efficientnet_toy"
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    top1 = committed.run(
        "python", "-c", "import json; print(json.load(open('metrics/onnx/float32.json'))['top1'])"
    ).stdout
    assert found["top1, ONNX Runtime"] == float(top1)
