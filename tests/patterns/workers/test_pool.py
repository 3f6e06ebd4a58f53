"""spawnPool() of the ES module: several workers whose functions are one object's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Page

# Each test has a pool of its own in the page: `two()` starts one of two workers, and waits until both are there.
HELPERS = """
    const start = (options = {}) =>
      workerlib.spawnPool({ script: "./pooled.py", pyodide: PYODIDE, size: 2, ...options });
    const until = async (condition) => {
      while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const two = async (options) => {
      const pool = await start(options);
      await until(() => pool.stats().starting === 0);
      return pool;
    };
    const collect = async (items) => {
      const all = [];
      for await (const item of items) all.push(item instanceof Error ? `${item.name}: ${item.message}` : item);
      return all;
    };
"""


def test_calls_run_on_both_workers(page: Page) -> None:
    """Functions are methods, by position and keyword; two calls at a time run on two workers; errors arrive as themselves."""
    told = page.run(f"""{HELPERS}
        const pool = await two();
        const both = await Promise.all([pool.identity(), pool.identity()]);
        const results = [await pool.double(21), await pool.call("double", [1], {{ plus: 5 }}), await pool.call("map", [3])];
        const error = await failure(pool.check(13));
        const submitted = await Promise.all([1, 2, 3].map((number) => pool.submit("double", number)));
        const {{ idle, busy, done, lost, restarts, size }} = pool.stats();
        const names = ["double" in pool, pool.exports.includes("check"), String(pool)];
        await pool.close();
        return {{ both, results, error, submitted, stats: [size, idle, busy, done, lost, restarts], names }};
    """)
    assert told["both"][0] != told["both"][1]
    assert told["results"] == [42, 7, -3]
    assert (told["error"]["name"], told["error"]["message"]) == ("ValueError", "13 is odd enough")
    assert told["submitted"] == [2, 4, 6]
    assert told["stats"] == [2, 2, 0, 9, 0, 0]
    assert told["names"] == [True, True, "[WorkerPool pooled.py]"]


def test_maps(page: Page) -> None:
    """In order and as completed, of an array and of an endless generator; errors end a map or stand among the results."""
    told = page.run(f"""{HELPERS}
        const pool = await two();
        const numbers = Array.from({{ length: 50 }}, (_, number) => number);
        const progress = [];
        const inOrder = await collect(pool.map("double", numbers, {{ onProgress: (...now) => progress.push(now) }}));
        const completed = await collect(pool.map("double", numbers, {{ ordered: false }}));
        const errors = await collect(pool.map("check", [1, 3, 5], {{ errors: "yield" }}));
        const error = await failure(collect(pool.map("check", [1, 3, 5])));
        let read = 0;
        function* endless() {{ for (;;) yield (read += 1); }}
        const first = [];
        for await (const result of pool.map("double", endless())) {{
          first.push(result);
          if (first.length === 10) break;
        }}
        async function* slow() {{ yield 1; await new Promise((resolve) => setTimeout(resolve, 10)); yield 2; }}
        const ofAsync = await collect(pool.map("double", slow()));
        const held = pool.map("hold", [1, 2, 3]);
        const next = held.next();
        await until(() => pool.stats().busy === 2);
        await held.return();
        const isDone = (await next).done;
        await until(() => pool.stats().idle === 2);
        const after = pool.stats();
        await pool.close();
        return {{ inOrder, completed, errors, error, first, read, ofAsync, last: progress.at(-1), isDone, after: [after.waiting, after.restarts] }};
    """)
    doubled = [2 * number for number in range(50)]
    assert told["inOrder"] == doubled
    assert sorted(told["completed"]) == doubled
    assert told["errors"] == [1, "ValueError: 3 is odd enough", 5]
    assert told["error"]["name"] == "ValueError"
    assert told["first"] == [2 * number for number in range(1, 11)]
    assert told["read"] <= 10 + 8
    assert told["ofAsync"] == [2, 4]
    assert told["last"] == [50, 50]
    assert told["isDone"] is True
    assert told["after"] == [0, 0]


def test_a_death_costs_one_item(page: Page) -> None:
    """The item that ran rejects, or runs again by `retries` until it is poison; the others have their results, and the worker is back."""
    told = page.run(f"""{HELPERS}
        const pool = await two({{ backoff: [0, 0] }});
        const results = await collect(pool.map("die_of_five", Array.from({{ length: 20 }}, (_, item) => item), {{ errors: "yield" }}));
        await until(() => pool.stats().idle === 2);
        const poisoned = await failure(pool.with({{ retries: 9 }}).die(1, 1));
        await until(() => pool.stats().idle === 2);
        const {{ restarts, parked, lost }} = pool.stats();
        await pool.close();
        return {{ results, poisoned, restarts, parked, lost }};
    """)
    assert [result for result in told["results"] if isinstance(result, int)] == [*range(5), *range(6, 20)]
    assert told["results"][5].startswith("WorkerDiedError: the worker died while it ran die_of_five()")
    assert "not tried again" in told["poisoned"]["message"]
    assert (told["restarts"], told["parked"], told["lost"]) == (3, 0, 2)


def test_limits_aborts_and_cancels(page: Page) -> None:
    """A time limit and a cancel settle a call at once, and its worker is idle again; one that computes on is replaced."""
    told = page.run(f"""{HELPERS}
        const pool = await two();
        const late = await failure(pool.with({{ timeout: 20 }}).hold(1));
        await until(() => pool.stats().idle === 2);
        const task = pool.submit("hold", 1);
        await until(() => pool.stats().busy === 1);
        task.cancel();
        const cancelled = await failure(task);
        await until(() => pool.stats().idle === 2);
        const before = new Set(await pool.each.identity());
        const stuck = await failure(pool.with({{ timeout: 20 }}).spin(3600));
        await until(() => pool.stats().idle === 2);
        const still = await pool.each.identity();
        const kept = still.filter((identity) => before.has(identity)).length;
        await pool.close();
        return {{ late, cancelled, stuck, kept, isolated: crossOriginIsolated }};
    """)
    assert told["late"]["name"] == "TimeoutError"
    assert "hold() did not end within 20 ms" in told["late"]["message"]
    assert told["cancelled"]["name"] == "AbortError"
    assert told["stuck"]["name"] == "TimeoutError"
    # Shared memory interrupts what computes; without it the worker is replaced.
    assert told["kept"] == (2 if told["isolated"] else 1)


def test_each_restart_and_close(page: Page) -> None:
    """each reaches every worker and later ones, also by their names; restart replaces all; close settles what runs and what waits."""
    told = page.run(f"""{HELPERS}
        const pool = await two();
        const setUp = await pool.each.set_up(7);
        const before = await pool.each.identity();
        await pool.restart();
        const after = await pool.each.identity();
        const again = await pool.each.how_set_up();
        const tasks = [1, 2, 3].map((number) => failure(pool.hold(number)));
        await until(() => pool.stats().busy === 2);
        await pool.close();
        const ends = await Promise.all(tasks);
        const closed = await failure(pool.double(1));
        return {{ setUp, again, identities: new Set([...before, ...after]).size, ends: ends.map(({{ name }}) => name), closed }};
    """)
    assert told["setUp"] == [1, 1]
    assert told["again"] == [[7], [7]]
    assert told["identities"] == 4
    assert told["ends"] == ["WorkerDiedError"] * 3
    assert "the pool has ended: it was closed" in told["closed"]["message"]


def test_pools_that_cannot_start(page: Page) -> None:
    """The first worker's error is the pool's; numbers without a meaning, and aborts, are refused before a worker starts."""
    told = page.run(f"""{HELPERS}
        const missing = await failure(start({{ script: "./nowhere.py" }}));
        const sizes = await failure(start({{ size: 0 }}));
        const delays = await failure(start({{ backoff: [5, 1] }}));
        const aborted = await failure(start({{ signal: AbortSignal.abort() }}));
        return {{ missing, sizes, delays, aborted }};
    """)
    assert told["missing"]["name"] == "WorkerStartError"
    assert "nowhere.py" in told["missing"]["message"]
    assert "at least one worker" in told["sizes"]["message"]
    assert "the longest delay" in told["delays"]["message"]
    assert told["aborted"]["name"] == "AbortError"


def test_streams_are_refused(page: Page) -> None:
    """However a stream is called and iterated over, the error says what to write, and the worker is idle again."""
    told = page.run(f"""{HELPERS}
        const pool = await start({{ size: 1 }});
        const errors = [];
        for (const stream of [
          () => pool.rows(3),
          () => pool.with({{ retries: 1 }}).rows(3),
          () => pool.call("rows", [3]),
          () => pool.map("rows", [3]),
        ]) errors.push(await failure(collect(stream())));
        errors.push(await failure(pool.rows(3)), await failure(pool.each.rows(3)));
        const none = await failure(collect(pool.double(1)));
        await until(() => pool.stats().idle === 1);
        const restarts = pool.stats().restarts;
        await pool.close();
        return {{ errors: errors.map(({{ name, message }}) => `${{name}}: ${{message}}`), none, restarts }};
    """)
    refused = (
        "TypeError: rows() is a stream, which no pool runs: return an array, or call it on a single worker"
    )
    assert told["errors"] == [refused] * 6
    assert told["none"]["message"].startswith("double() returned no stream")
    assert told["restarts"] == 0


def test_slips(page: Page) -> None:
    """A function that gives a promise rejects, and one that gives something else throws; nothing is sent either way."""
    told = page.run(f"""{HELPERS}
        const pool = await start({{ size: 1 }});
        const fate = async (run) => {{
          let given;
          try {{
            given = run();
          }} catch (error) {{
            return ["thrown", error.name, error.message];
          }}
          const error = await failure(given);
          return ["rejected", error.name, error.message];
        }};
        const fates = [
          await fate(() => pool.call(5)),
          await fate(() => pool.submit(5)),
          await fate(() => pool.call("double", [1], {{}}, {{ tiemout: 1 }})),
          await fate(() => pool.map(5, [1])),
          await fate(() => pool.with({{ tiemout: 1 }})),
        ];
        const cancel = typeof pool.submit("double", 1).cancel;
        const {{ done, lost }} = pool.stats();
        await pool.close();
        return {{ fates, cancel, tasks: done + lost }};
    """)
    assert [fate[:2] for fate in told["fates"]] == [["rejected", "TypeError"]] * 3 + [
        ["thrown", "TypeError"]
    ] * 2
    assert (
        told["fates"][1][2]
        == 'submit(): the name of the function is 5: write a text, such as submit("f", …args)'
    )
    assert told["cancel"] == "function"
    assert told["tasks"] == 0


def test_maps_that_end_early(page: Page) -> None:
    """A signal, a throw in the loop, an error of onProgress and the end of the pool end a map, and its workers are idle again."""
    told = page.run(f"""{HELPERS}
        const pool = await two({{ backoff: [0, 0] }});
        const isIdle = () => until(() => pool.stats().idle === 2);
        const abort = new AbortController();
        const items = [1, 2, 3, 4, 5, 6].map((number) => (number > 2 ? 3600 : 0));
        const seen = [];
        const aborted = await failure((async () => {{
          for await (const one of pool.map("wait", items, {{ signal: abort.signal }})) {{
            seen.push(one);
            if (seen.length === 2) setTimeout(() => abort.abort(), 5);
          }}
        }})());
        await isIdle();
        const thrown = await failure((async () => {{
          for await (const one of pool.map("wait", items)) throw new RangeError(`${{one}} in the loop`);
        }})());
        await isIdle();
        const onProgress = (done) => {{ if (done === 2) throw new RangeError("no bar"); }};
        const progress = await failure(collect(pool.map("double", [1, 2, 3, 4], {{ onProgress, errors: "yield" }})));
        await isIdle();
        const wrong = await failure(pool.each.check(3));
        const died = await failure(pool.die(1, 1));
        await isIdle();
        const {{ restarts, parked }} = pool.stats();
        function* endless() {{ for (let number = 0; ; number += 1) yield number; }}
        let count = 0;
        const closed = await failure((async () => {{
          for await (const one of pool.map("double", endless(), {{ errors: "yield", ahead: undefined }})) {{
            if ((count += 1) === 20) void pool.close();
          }}
        }})());
        const {{ idle, starting }} = pool.stats();
        return {{ seen, aborted, thrown, progress, wrong, died, restarts, parked, closed, idle, starting }};
    """)
    assert told["seen"] == [0, 0]
    assert told["aborted"]["name"] == "AbortError"
    assert told["thrown"]["message"] == "0 in the loop"
    assert told["progress"]["message"] == "no bar"
    assert told["wrong"]["name"] == "ValueError"
    assert told["died"]["name"] == "WorkerDiedError"
    assert (told["restarts"], told["parked"]) == (1, 0)
    assert "the pool has ended" in told["closed"]["message"]
    assert (told["idle"], told["starting"]) == (0, 0)
