"""How the benchmark evaluates its figures. `make bench` measures them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import Verdict, verdicts
from benchmarks.layout import BUSY, EVERYBODY, Crowd, Rooms
from benchmarks.plots import bars
from benchmarks.protocols import Centrifugo, ClientProtocol, SocketIO
from benchmarks.readme import BLOCK, README, REPORT, table
from benchmarks.results import Outcome, Results, Section, ratios
from benchmarks.servers import Publication
from benchmarks.stages import FULL, QUICK, Scale, has_enough, stages


def bursts(**cpu: list[float]) -> Results:
    outcomes = {name: Outcome([{"cpu": value, "p99": 1.0} for value in values]) for name, values in cpu.items()}
    section = Section("b", "Bursts", "delivery", ["cpu", "p99"], outcomes)
    servers = {name: name.title() for name in cpu}
    return Results("then", "full", {"cores": "2"}, servers, sections={"bursts": section})


def verdict_on(results: Results, other: str) -> Verdict:
    return next(verdict for verdict in verdicts(results) if verdict.what.endswith(other))


def test_ratios_are_of_runs_of_the_same_round() -> None:
    ours, theirs = Outcome([{"cpu": 1.0}, {"cpu": 9.0}]), Outcome([{"cpu": 10.0}, {"cpu": 30.0}])
    assert ratios(ours, theirs, "cpu") == [0.1, 0.3]


@pytest.mark.parametrize(("cost", "met"), [(1.2, True), (1.3, False)])
def test_a_goal_is_met_or_missed(cost: float, met: bool) -> None:
    verdict = verdict_on(bursts(hubbub=[cost] * 3, floor=[10.0] * 3), "floor")
    assert verdict.met is met


def test_a_goal_without_a_measurement_is_neither_met_nor_missed() -> None:
    assert verdict_on(bursts(hubbub=[1.0]), "floor").met is None


def test_a_python_peer_is_compared_in_every_workload() -> None:
    assert verdict_on(bursts(hubbub=[1.0], chanx=[4.0]), "chanx").found == 0.25


def test_the_page_names_the_servers_that_were_not_measured_with_the_reason(tmp_path: Path) -> None:
    results = bursts(hubbub=[1.0], floor=[10.0])
    results.absent["Centrifugo"] = "no centrifugo on the PATH"
    page = report.write(results, tmp_path, None).read_text()
    assert "**not measured**: Centrifugo: no centrifugo on the PATH" in page


def test_a_failed_run_is_named_below_its_table(tmp_path: Path) -> None:
    results = bursts(hubbub=[1.0], floor=[10.0])
    results.sections["bursts"].outcomes["floor"].failure = "not everybody heard the same"
    assert "Floor: 1 runs counted; not everybody heard the same" in report.write(results, tmp_path, None).read_text()


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    results = bursts(hubbub=[1.0], floor=[10.0])
    results.save(tmp_path / "report.json")
    assert Results.load(tmp_path / "report.json") == results


@pytest.mark.parametrize(("now", "is_named"), [([2.0, 2.1], True), ([1.0, 1.05], False), ([1.05, 1.3], False)])
def test_a_change_is_named_when_it_is_large_and_out_of_the_spread(
    now: list[float], is_named: bool, tmp_path: Path
) -> None:
    before = bursts(hubbub=[1.0, 1.1], floor=[10.0, 10.0])
    page = report.write(bursts(hubbub=now, floor=[10.0, 10.0]), tmp_path, before).read_text()
    assert ("| (b) Bursts | CPU, µs per delivery |" in page) is is_named


def test_a_plot_is_xml_with_a_bar_for_each_server() -> None:
    plot = ElementTree.fromstring(bars("CPU <µs>", [("Hubbub", [1.0, 3.0, 2.0], True), ("bare C", [4.0], False)]))
    written = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
    assert written == ["CPU <µs>", "Hubbub", "2.00", "bare C", "4.00"]


def test_every_socket_whose_memory_is_measured_has_two_topics() -> None:
    assert {len(Rooms(200, gathered=100).topics(index)) for index in range(200)} == {2}


@pytest.mark.parametrize("scale", [FULL, QUICK], ids=["full", "quick"])
def test_every_workload_is_in_one_stage_of_each_server(scale: Scale) -> None:
    planned = stages(scale, "redis://", CONTENDERS)

    assert {work.letter for stage in planned for work in stage.workloads} == {*"abcdefghi", "b2", "b3"}
    for contender in CONTENDERS:
        works = [
            work.key
            for stage in planned
            if contender in stage.contenders
            for work in stage.workloads
            if work.supports(contender)
        ]
        assert len(set(works)) == len(works), contender.name


@pytest.mark.parametrize(
    ("runs", "took", "number", "enough"),
    [
        (1, 90.0, 1, False),
        (2, 49.0, 2, False),
        (2, 50.0, 2, True),
        (3, 24.0, 3, False),
        (3, 25.0, 3, True),
        (0, 0.0, 1, False),
        (0, 0.0, 2, True),
    ],
)
def test_a_slow_server_gets_fewer_runs_and_a_failing_one_two_attempts(
    runs: int, took: float, number: int, enough: bool
) -> None:
    assert has_enough(Outcome([{"cpu": 1.0}] * runs, took=took), number, seconds=25.0) is enough


def test_a_server_that_cannot_do_a_workload_gets_no_second_attempt() -> None:
    assert has_enough(Outcome(failure="one event takes longer than 200 ms", is_final=True), 1, seconds=25.0)


def test_the_page_names_the_servers_with_fewer_runs(tmp_path: Path) -> None:
    results = bursts(hubbub=[1.0] * 5, floor=[10.0] * 3)
    results.sections["bursts"].outcomes["floor"].took = 31.4
    assert "Floor: 3 runs, as these took 31 s" in report.write(results, tmp_path, None).read_text()


def test_the_page_shows_the_total_duration(tmp_path: Path) -> None:
    results = bursts(hubbub=[1.0], floor=[10.0])
    results.took = 1089.0
    assert "18.1 minutes" in report.write(results, tmp_path, None).read_text()


def test_the_busy_topic_has_as_many_listeners_as_the_workload_expects() -> None:
    assert sum(BUSY in Crowd(1000).topics(index) for index in range(1000)) == 100
    assert sum(EVERYBODY in Rooms(300, gathered=200).topics(index) for index in range(300)) == 200


def test_a_publication_to_rooms_is_received_by_the_rooms_it_reaches() -> None:
    assert Publication(5, 0.1, 10, rooms=100).receivers == 50
    assert Publication(200, 0.1, 10, rooms=100).receivers == 1000


def test_centrifugo_gets_one_subscribe_command_per_topic() -> None:
    first, second = Centrifugo().subscribe(7, [EVERYBODY, BUSY]).split("\x1e")
    assert first == '{"id":8,"subscribe":{"channel":"conversation"}}'
    assert second == '{"id":9,"subscribe":{"channel":"busy-channel"}}'


def test_socket_io_gets_the_same_subscribe_event_in_its_own_packet() -> None:
    ours, theirs = ClientProtocol().subscribe(7, [BUSY]), SocketIO().subscribe(7, [BUSY])
    topics = '{"topics":[{"kind":"conversation","id":"busy-channel"}]}'
    assert ours == '{"type":"client.system.subscribe","data":' + topics + ',"ts":1}'
    assert theirs == '42["client.system.subscribe",' + topics + "]"


def test_the_readme_shows_the_main_figures_of_the_stored_report() -> None:
    """`python -m benchmarks.readme` writes them."""
    results = Results.load(REPORT)
    shown = BLOCK.search(README.read_text())

    assert results is not None
    assert shown is not None
    assert shown[0] == table(results)
