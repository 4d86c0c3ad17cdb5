"""Prometheus metrics: what each part took, and at every scrape what the health document says."""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ..inspection.inspector import Judged
from ..tasks.verdict import Verdict

# Seconds: from a fast model's few milliseconds to the operator's patience
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


class Metrics(Collector):
    """Fed by the recorder with every part; `health` is asked when somebody scrapes."""

    def __init__(self, health: Callable[[], dict[str, Any]]) -> None:
        self._health = health
        self._registry = CollectorRegistry()
        self._parts = Counter("sealpin_parts", "Parts by verdict", ["verdict"], registry=self._registry)
        self._faults = Counter("sealpin_faults", "Parts not inspected, by reason", ["reason"], registry=self._registry)
        self._stages = Histogram(
            "sealpin_stage_seconds",
            "Time from the trigger to the photo, of the model alone, and from the trigger to the verdict",
            ["stage"],
            registry=self._registry,
            buckets=BUCKETS,
        )
        for verdict in Verdict:
            self._parts.labels(verdict.value)
        self._registry.register(self)

    def part(self, judged: Judged) -> None:
        """Count one part."""
        self._parts.labels(judged.verdict.value).inc()
        if judged.verdict is Verdict.NOT_INSPECTED:
            self._faults.labels(judged.error.name.lower()).inc()
            return
        for stage, milliseconds in (
            ("photo", judged.acquired_ms),
            ("model", judged.model_ms),
            ("verdict", judged.cycle_ms),
        ):
            self._stages.labels(stage).observe(milliseconds / 1000)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """What the health document says, as gauges."""
        health = self._health()
        yield InfoMetricFamily(
            "sealpin_station",
            "Which station",
            value={key: str(health[key]) for key in ("station", "version", "model_sha256", "camera_driver")},
        )
        outbox = health["outbox"]
        items = GaugeMetricFamily("sealpin_outbox_items", "What waits, or was set aside", labels=["lane"])
        for lane in ("photos", "results", "aside"):
            if outbox[lane] is not None:
                items.add_metric([lane], outbox[lane])
        yield items
        for name, text, value in (
            ("plc_up", "Whether the PLC is connected", health["plc"] == "connected"),
            ("ready", "Whether a part would be taken", health["state"] == "ready"),
            ("camera_up", "Whether the camera gives photos", health["camera"] == "ok"),
            ("camera_taught", "Whether photos are checked by what the camera was taught", health["checks"] == "taught"),
            ("missed_triggers", "Triggers that began no inspection, since the start", health["missed_triggers"]),
            ("degraded", "Whether storage or network lag behind", health["degraded"]),
            ("lost", "Parts or photos that could be neither sent nor stored", health["lost"]),
            ("outbox_oldest_seconds", "Age of the oldest item that waits", outbox.get("oldest_s")),
            ("outbox_bytes", "Bytes of stored photos", outbox.get("stored_mb", 0) * 1e6),
            ("outbox_dropped", "Photos dropped from a full store, ever", outbox.get("dropped")),
            ("disk_free_bytes", "Free bytes where the station's data lie", outbox.get("disk_free_mb", 0) * 1e6),
            ("uptime_seconds", "Since the station started", health["uptime_s"]),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"sealpin_{name}", text, value=float(value))
