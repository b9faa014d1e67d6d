"""Plots are built when they are seen, and pyqtgraph's Qt classes are made on the GUI thread alone.

Made in another thread while the GUI makes widgets, they end the process now and then.
"""

import subprocess
import sys

PROGRAM = """
import sys, threading
from qtpy.QtWidgets import QApplication
from napari_unet_mic.gui.late_plots import LatePlots, new_plot

threads = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("pyqtgraph"):
            threads.setdefault(name, threading.current_thread())

class OnePlot(LatePlots):
    def build_plots(self):
        self._plots["one"] = new_plot()

sys.meta_path.insert(0, Watch())
app = QApplication([])
widget = OnePlot()
assert not threads, "nothing is imported before somebody looks"
assert not widget.ready
widget.show()
while not widget.ready:
    app.processEvents()
assert "pyqtgraph" in threads
assert set(threads.values()) == {threading.main_thread()}, threads
widget.hide()
widget.show()
app.processEvents()
assert len(widget._plots) == 1
widget.close()
"""


def test_pyqtgraph_is_imported_on_the_gui_thread_when_somebody_looks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
