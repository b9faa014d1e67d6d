import time

from qtpy.QtCore import QTimer

from napari_unet_mic.gui.watchdog import Gap, Watchdog


def test_a_blocked_event_loop_is_recorded(qtbot):
    watchdog = Watchdog(report_seconds=0.05)
    watchdog.start()
    QTimer.singleShot(20, lambda: time.sleep(0.2))
    qtbot.wait(300)

    gaps = watchdog.stop()

    assert watchdog.longest.seconds > 0.1
    assert watchdog.longest in gaps
    assert watchdog.ours() == []  # the sleep is this test's, not the package's


def test_an_idle_watchdog_has_no_gap():
    assert Watchdog().longest == Gap(0.0, 0.0)


def test_ours_counts_computing_in_the_package_only():
    watchdog = Watchdog()
    slow = Gap(0.2, 0.1, "napari_unet_mic.gui.plots:f:1")
    watchdog.gaps = [slow, Gap(0.3, 0.2), Gap(0.4, 0.01, "napari_unet_mic.gui.plots:f:1")]

    assert watchdog.ours() == [slow]
