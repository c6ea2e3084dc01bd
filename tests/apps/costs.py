#!/usr/bin/env python3
"""What the thin client of each app needs: its peak of memory (VmHWM), and what a container image of it holds.

    costs.py [APP...]

Pictures as large as photographs for the picture apps, a text like the paper's for the others. An image is
one static program, stripped, and for a text app its vocabulary. Ends with 0, 1 or, without models, 77.
"""
import io
import os
import subprocess
import sys
import tarfile

import programs
from programs import BIN, DATA, MODELS_OF, VOCABULARY, Failure, Service, check, report
from process import SKIPPED, Skip, end_on_signals

MB = 1_000_000
MOST_IMAGE = 10 * MB
MOST_PEAK, MOST_PEAK_OF_DETECTORS = 26 * MB, 40 * MB
# 600 x 400 pixels, 1352 x 900 twice, 2592 x 2072.
PICTURES = {"usual": "../pictures/coffee.png", "large.jpg": "pictures/large.jpg",
            "large.png": "pictures/large.png", "huge.jpg": "pictures/huge.jpg"}


def most_peak(app):
    return MOST_PEAK_OF_DETECTORS if app.startswith("ssd") else MOST_PEAK


def inputs(app, folder):
    """{what it is: the arguments}."""
    if not programs.is_text_app(app):
        return {name: ["--input", os.path.join(DATA, path)] for name, path in PICTURES.items()}
    # Some 9,000 bytes in 41 lines of up to 128 tokens, of which 20 are blank: one call.
    path = os.path.join(folder, "long.txt")
    with open(path, "w", encoding="utf-8") as file:
        for line in range(41):
            file.write("" if line % 2 else "The film that we saw on day %d was long. " % line * 11)
            file.write("\n")
    return {"41 lines": ["--input", path, "--batch", "64"]}


def image_size(app, folder):
    """The bytes of the image's only layer."""
    stripped = os.path.join(folder, app)
    subprocess.run(["strip", "-o", stripped, os.path.join(BIN, app)], check=True)
    headers = subprocess.run(["readelf", "-l", stripped], capture_output=True, text=True, check=True).stdout
    check("INTERP" not in headers, f"{app} needs a dynamic loader, so it is no image of one file")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(stripped, "app")
        if programs.is_text_app(app):
            archive.add(VOCABULARY, "vocabulary.txt")
    return len(layer.getvalue())


def main():
    end_on_signals()
    apps = sys.argv[1:] or list(MODELS_OF)
    programs.need_models(model for app in apps for model in MODELS_OF[app])
    print(f"{'app':24} {'peak, MB':56} {'most':>5} {'holding an answer, MB':>22} {'image, MB':>10}")
    with Service() as service:
        for app in apps:
            peaks, held = {}, 0
            for name, arguments in inputs(app, service.folder).items():
                report(app, service, *arguments)  # loads the model
                memory = report(app, service, *arguments)["memory"]
                peaks[name] = memory["peak_rss_bytes"]
                held = max(held, memory["pss_bytes"])
            image = image_size(app, service.folder)
            told = ", ".join(f"{name} {peak / MB:.1f}" for name, peak in peaks.items())
            print(f"{app:24} {told:56} {most_peak(app) / MB:5.0f} {held / MB:22.1f} {image / MB:10.1f}",
                  flush=True)
            for name, peak in peaks.items():
                check(0 < peak <= most_peak(app), f"{app} needed {peak} bytes for {name}")
            check(image <= MOST_IMAGE, f"the image of {app} has {image} bytes")


if __name__ == "__main__":
    try:
        main()
    except Skip as skipped:
        print(f"skipped: {skipped}")
        sys.exit(SKIPPED)
    except Failure as wrong:
        print(wrong)
        sys.exit(1)
