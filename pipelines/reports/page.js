"use strict";
// The page is whole without this: it adds readouts, legends that switch lines, films, the theme, and news of a live run.
// What came out of a run is only ever set as text, never as markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 48, RIGHT = 10, WIDTH = 380, TOP = 10, BOTTOM = 24, HEIGHT = 200; // as charts.py draws
  const make = (tag, content, style) => {
    const made = document.createElement(tag);
    if (content !== undefined) made.textContent = content;
    if (style) made.className = style;
    return made;
  };
  const dataOf = (figure) => {
    const block = figure.querySelector('script[type="application/json"]');
    return block ? JSON.parse(block.textContent) : null;
  };
  const number = (value) => {
    if (value === null || value === undefined) return "NULL";
    return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
  };

  // Light or dark ---------------------------------------------------------------------------------------------------
  const theme = () => {
    const button = document.querySelector(".theme");
    const root = document.documentElement;
    let kept = null;
    try { kept = localStorage.getItem("guerdon-theme"); } catch { /* a page from a file may have no storage */ }
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const tell = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", "Change to the " + button.textContent.toLowerCase() + " theme"); };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      try { localStorage.setItem("guerdon-theme", root.dataset.theme); } catch { /* as above */ }
      tell();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    tell();
  };

  // Charts ----------------------------------------------------------------------------------------------------------
  const chart = (figure) => {
    const data = dataOf(figure), svg = figure.querySelector("svg"), out = figure.querySelector(".readout");
    if (!data || !svg || !out) return;
    const right = Number(svg.dataset.right);
    const hidden = new Set();
    const xs = [...new Set(data.series.flatMap((one) => one.x))].sort((a, b) => a - b);
    const shown = (value) => data.percent ? number(100 * value) + " %" : number(value);
    let cross = null, place = xs.length - 1;
    const nearest = (list, x) => {
      let best = 0;
      for (let i = 1; i < list.length; i += 1) if (Math.abs(list[i] - x) < Math.abs(list[best] - x)) best = i;
      return best;
    };
    const tell = (x) => {
      if (!cross) { cross = document.createElementNS(SVG, "line"); cross.setAttribute("class", "cross"); svg.append(cross); }
      const at = LEFT + (WIDTH - LEFT - RIGHT) * x / right;
      for (const [key, value] of [["x1", at], ["x2", at], ["y1", TOP], ["y2", HEIGHT - BOTTOM]]) cross.setAttribute(key, value);
      const parts = [];
      data.series.forEach((one, index) => {
        if (hidden.has(index) || !one.x.length) return;
        const i = nearest(one.x, x);
        const around = one.i ? " [" + shown(one.i[i][0]) + ", " + shown(one.i[i][1]) + "]" : "";
        parts.push((data.series.length > 1 ? one.name + " " : "") + shown(one.y[i]) + around);
      });
      out.textContent = "at " + number(x) + " " + data.unit + ": " + parts.join(", ");
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * right;
      place = nearest(xs, x);
      tell(xs[place]);
    });
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: xs.length - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      place = Math.max(0, Math.min(xs.length - 1, moves[event.key]));
      tell(xs[place]);
    });
    figure.querySelectorAll(".legend li").forEach((item) => {
      const index = Number(item.dataset.series), button = make("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(...item.childNodes);
      item.append(button);
      button.addEventListener("click", () => {
        if (hidden.has(index)) hidden.delete(index); else hidden.add(index);
        button.setAttribute("aria-pressed", String(!hidden.has(index)));
        const name = data.series[index].name;
        svg.querySelectorAll(".line, .dot").forEach((line) => {
          const title = line.querySelector("title");
          if (title && title.textContent === name) {
            line.classList.toggle("off", hidden.has(index));
            const before = line.previousElementSibling;
            if (before && before.classList.contains("band")) before.classList.toggle("off", hidden.has(index));
          }
        });
      });
    });
  };

  // Films -----------------------------------------------------------------------------------------------------------
  const film = (figure, start) => {
    const data = dataOf(figure);
    if (!data || !data.steps.length) return;
    const steps = data.steps, screen = figure.querySelector(".screen"), paid = figure.querySelector(".paid");
    const slider = figure.querySelector("input"), out = figure.querySelector("output"), here = figure.querySelector(".here");
    const frames = [];
    let rows = [];
    for (const step of steps) { // each frame says what changed since the one before
      rows = rows.slice();
      for (const [place, text, runs] of step.f) rows[place] = [text, runs];
      frames.push(rows);
    }
    const draw = (frame) => {
      screen.replaceChildren();
      frame.forEach(([text, runs], place) => {
        if (place) screen.append("\n");
        const letters = [...text];
        let begin = 0;
        for (let i = 0; i < runs.length; i += 2) {
          screen.append(make("span", letters.slice(begin, begin + runs[i + 1]).join(""), "k" + Number(runs[i])));
          begin += runs[i + 1];
        }
        screen.append(letters.slice(begin).join(""));
      });
    };
    const rowsOf = (title, pairs) => {
      if (!pairs.length) return;
      paid.append(make("h4", title));
      const table = make("table"), body = make("tbody");
      for (const [name, value] of pairs) {
        const row = make("tr"), head = make("th", name);
        head.scope = "row";
        row.append(head, make("td", typeof value === "string" ? value : number(value), typeof value === "string" ? "" : "n"));
        body.append(row);
      }
      table.append(body);
      paid.append(table);
    };
    const tell = (step) => {
      paid.replaceChildren();
      const reward = "r" in step ? (step.r === null ? "NULL: left out of the loss" : number(step.r)) : "not known without a checkpoint";
      const facts = [["action", step.a], ["reward", reward], ["paid by the environment", number(step.e)], ["policy version", String(step.v)]];
      if ("c" in step) facts.push(["caption", data.captions[step.c][0] + " (time " + step.n + " in this episode)"]);
      if (step.end) facts.push(["end", step.end]);
      rowsOf("Step " + step.t, facts);
      rowsOf("What paid: component or part", step.terms || []);
      rowsOf("Components as the view read them", step.raw || []);
      if ("c" in step) {
        const said = data.verdicts[step.c];
        rowsOf("Verdicts on the caption", said.length ? said.map((line, i) => [String(i + 1), line]) : [["–", "not judged"]]);
      }
    };
    let place = 0, timer = null;
    const go = (next) => {
      place = Math.max(0, Math.min(steps.length - 1, next));
      slider.value = String(place);
      slider.setAttribute("aria-valuetext", "step " + steps[place].t);
      out.textContent = "step " + steps[place].t + " of " + steps[steps.length - 1].t;
      here.setAttribute("x", String(place));
      figure.dataset.place = String(place);
      draw(frames[place]);
      tell(steps[place]);
    };
    const stop = () => { if (timer !== null) { clearInterval(timer); timer = null; } figure.classList.remove("plays"); };
    const event = () => {
      for (let i = 1; i <= steps.length; i += 1) {
        const step = steps[(place + i) % steps.length];
        if (step.r || step.e) { go((place + i) % steps.length); return; }
      }
    };
    const moves = {
      first: () => go(0), back: () => go(place - 1), on: () => go(place + 1), last: () => go(steps.length - 1), event,
      play: () => {
        if (timer !== null) { stop(); return; }
        if (place === steps.length - 1) go(0);
        figure.classList.add("plays");
        timer = setInterval(() => { if (!figure.isConnected || place === steps.length - 1) stop(); else go(place + 1); }, 150);
      },
    };
    figure.querySelectorAll("button[data-go]").forEach((button) => button.addEventListener("click", () => {
      if (button.dataset.go !== "play") stop();
      moves[button.dataset.go]();
    }));
    slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
    figure.querySelector(".bar svg").addEventListener("click", (click) => {
      const box = click.currentTarget.getBoundingClientRect();
      stop();
      go(Math.floor((click.clientX - box.left) / box.width * steps.length));
    });
    figure.addEventListener("keydown", (press) => {
      if (press.ctrlKey || press.metaKey || press.altKey) return;
      const names = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", n: "event", " ": "play" };
      const name = names[press.key];
      if (!name || (press.key === " " && press.target.tagName === "BUTTON")) return;
      press.preventDefault();
      if (name !== "play") stop();
      moves[name]();
    });
    go(start || 0);
  };

  const wake = (places) => {
    document.querySelectorAll("figure.chart").forEach(chart);
    document.querySelectorAll("figure.film").forEach((one) => film(one, places ? places.get(one.getAttribute("aria-label")) : 0));
  };

  // A live run ------------------------------------------------------------------------------------------------------
  const live = () => {
    const said = make("p", "live", "none live");
    said.setAttribute("role", "status");
    document.querySelector("header div").append(said);
    const renew = async () => {
      const answer = await fetch("page", { cache: "no-store", signal: AbortSignal.timeout(60000) });
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const open = new Set(), places = new Map();
      document.querySelectorAll("main details").forEach((one, i) => { if (one.open) open.add(i); });
      document.querySelectorAll("figure.film").forEach((one) => places.set(one.getAttribute("aria-label"), Number(one.dataset.place)));
      if (document.querySelector(".plays")) return; // whoever watches a film is not disturbed
      document.querySelector("main").replaceWith(document.adoptNode(next.querySelector("main")));
      document.querySelectorAll("main details").forEach((one, i) => { one.open = open.has(i); });
      document.querySelector("header div p").textContent = next.querySelector("header div p").textContent;
      wake(places);
      said.textContent = "live, as of " + new Date().toLocaleTimeString();
    };
    // One renewal after another: an older page that arrives late must not take the place of the last.
    let turn = Promise.resolve(), waiting = false;
    const renewed = () => {
      if (waiting) return turn; // it has not asked yet, and will see this news too
      waiting = true;
      const again = () => { waiting = false; return renew(); };
      turn = turn.then(again).catch(() => { said.textContent = "live: the page could not be renewed"; });
      return turn;
    };
    const news = new EventSource("events");
    news.addEventListener("changed", renewed);
    news.addEventListener("ended", () => { news.close(); renewed().then(() => { said.textContent = "the run has ended; this is its last state"; }); });
    news.onerror = () => { said.textContent = "the connection is lost: the run has ended, or its report was stopped"; };
  };

  theme();
  wake(null);
  if (document.documentElement.dataset.live) live();
})();
