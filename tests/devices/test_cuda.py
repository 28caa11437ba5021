"""NVIDIA's libraries: loaded whatever their order, and what is missing is named."""

import subprocess

from effnet.devices import cuda


def test_libraries_load_whatever_their_order(tmp_path):
    """a needs z, which sorts after it; b needs what is nowhere."""
    folder = tmp_path / "nvidia/x/lib"
    folder.mkdir(parents=True)
    (tmp_path / "empty.c").write_text("int nothing;")

    def make(name, *needs):
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-Wl,--no-as-needed", "-o", folder / name]
        command += [tmp_path / "empty.c", f"-L{folder}", *(f"-l:{need}" for need in needs)]
        subprocess.run(command, check=True)

    make("libeffnet_z.so.1")
    make("libeffnet_a.so.1", "libeffnet_z.so.1")
    make("libeffnet_gone.so.1")
    make("libeffnet_b.so.1", "libeffnet_gone.so.1")
    (folder / "libeffnet_gone.so.1").unlink()
    failed = cuda.load(tmp_path)
    assert list(failed) == ["libeffnet_b.so.1"] and "libeffnet_gone.so.1" in failed["libeffnet_b.so.1"]
    assert cuda.unresolved(folder / "libeffnet_b.so.1", tmp_path) == ["libeffnet_gone.so.1"]
    assert cuda.unresolved(folder / "libeffnet_a.so.1", tmp_path) == []
