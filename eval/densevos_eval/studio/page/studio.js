// The page: what the user does becomes marks and requests, and the server's state becomes what is shown.

import { Refusal, getCut, getFrame, getMask, getState, post } from "./server.js";
import { Stage } from "./stage.js";
import { countFresh, drawStrip, isFresh } from "./timeline.js";

const $ = (id) => document.getElementById(id);
const stage = new Stage($("stage"));
const ui = { frame: 0, object: 0, tool: "click", adds: true, marks: [], drawing: null, playing: null, shown: "", waiting: false };
let state = null;
let asked = 0; // the number of the last cut; older answers are not shown
let loading = 0; // likewise of the last frame

const colours = () => new Map(state.objects.map((tracked) => [tracked.id, tracked.colour]));
const current = () => state.objects.find((tracked) => tracked.id === ui.object);
const busy = () => state.job !== null && state.job.state === "running";

function notice(message) {
    $("notice").textContent = message;
    $("notice").hidden = !message;
}

// Does something that the server may refuse, and says why.
async function attempt(work) {
    try {
        notice("");
        return await work();
    } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        notice(error.message);
        if (error.status === 409) await refresh();
        return undefined;
    }
}

// One change after another: each must know the revision that the one before led to.
let changes = Promise.resolve();

function change(action, value = {}) {
    changes = changes.catch(() => undefined).then(() => attempt(async () => {
        const next = await post(action, { revision: state.revision, ...value });
        await show(next);
        return next;
    }));
    return changes;
}

async function refresh() {
    await show(await getState());
}

async function show(next) {
    const first = state === null;
    if (!first && next.revision < state.revision) return; // an answer that has been overtaken
    state = next;
    if (first) {
        stage.resize(state.view, state.size);
        $("frame").max = state.frames - 1;
        $("radius").max = Math.round(Math.max(...state.size) / 8);
        $("radius").value = Math.round(Math.max(...state.size) / 50);
        ui.frame = Number(Object.keys(state.given)[0] ?? 0);
        fit();
    }
    if (!current()) ui.object = state.objects[0]?.id ?? 0;
    showPanels();
    // A mask may have changed when the project has, or when a job has come on.
    if (keyOf(ui.frame) !== ui.shown) await showFrame();
}

const keyOf = (frame) => `${frame} ${state.revision} ${state.job?.kind} ${state.job?.state} ${state.job?.done}`;

async function showFrame() {
    const number = ++loading;
    const frame = ui.frame;
    const key = keyOf(frame);
    const [image, ids] = await Promise.all([getFrame(frame), getMask(frame)]);
    if (number !== loading) return;
    ui.shown = key;
    Object.assign(stage, { image, ids, object: ui.object, colours: colours(), marks: ui.marks });
    stage.paint();
    showPanels();
}

function showPanels() {
    document.title = `${state.clip} - studio`;
    $("clip").textContent = state.clip;
    $("facts").textContent = `${state.size[0]}×${state.size[1]}, ${state.frames} frames`;
    $("encoder").textContent = `${state.encoder.name}: ${state.encoder.ready ? "ready" : "is being loaded"}`;
    $("folder").textContent = state.folder;
    $("command").textContent = state.command;
    $("frame").value = ui.frame;
    $("number").textContent = `frame ${ui.frame} of ${state.frames - 1}`;
    drawStrip($("strip"), state, colours());
    showObjects();
    showJob();
    showDraft();
}

function showObjects() {
    const list = $("objects");
    const key = JSON.stringify([state.objects, ui.object]);
    if (list.dataset.key === key) return; // nothing is taken from under the user's hands
    list.dataset.key = key;
    list.replaceChildren(...state.objects.map(objectRow));
}

function objectRow(tracked) {
    const row = document.createElement("li");
    row.setAttribute("aria-current", tracked.id === ui.object);
    const colour = Object.assign(document.createElement("input"), { type: "color", value: tracked.colour });
    colour.setAttribute("aria-label", `Colour of ${tracked.name}`);
    colour.onchange = () => change("object", { object: tracked.id, colour: colour.value });
    const name = Object.assign(document.createElement("input"), { type: "text", value: tracked.name, maxLength: 60 });
    name.setAttribute("aria-label", `Name of object ${tracked.id}`);
    name.onfocus = () => choose(tracked.id);
    name.onchange = () => change("object", { object: tracked.id, name: name.value });
    name.onkeydown = (event) => event.key === "Enter" && name.blur();
    const remove = Object.assign(document.createElement("button"), { textContent: "×", title: `Remove ${tracked.name}` });
    remove.setAttribute("aria-label", `Remove ${tracked.name}`);
    remove.onclick = () => confirm(`Remove ${tracked.name} and all that you marked of it?`) && change("remove", { object: tracked.id });
    row.onclick = (event) => event.target === row && choose(tracked.id);
    row.append(colour, name, remove);
    return row;
}

function showJob() {
    const job = state.job;
    const missing = state.frames - countFresh(state);
    const marked = Object.keys(state.given).length;
    $("todo").textContent = !marked ? "Nothing is marked yet."
        : missing ? `${missing} of ${state.frames} frames are missing or out of date.` : "All masks are up to date.";
    $("propagate").disabled = busy() || !marked || !missing || !state.encoder.ready || ui.marks.length > 0;
    $("propagate").textContent = missing < state.frames && missing ? "Propagate on" : "Propagate";
    $("cancel").hidden = $("progress").hidden = !busy();
    const card = $(job === null || job.kind === "propagate" ? "todo" : "exports").parentElement;
    if ($("run").parentElement !== card) card.append($("run"));
    $("job").className = job?.state === "failed" ? "bad" : "";
    if (job) $("progress").value = Math.min(1, job.done / Math.max(1, job.total));
    $("job").textContent = !job ? "" : busy() ? `${job.kind}: ${job.done} of ${job.total} frames${left(job)}` : job.message;
    for (const button of document.querySelectorAll("#exports button")) {
        button.disabled = busy() || !state.fresh.length || (button.dataset.kind === "soft" && !state.encoder.ready);
    }
    for (const link of document.querySelectorAll("#exports a")) {
        const name = state.exports[link.dataset.kind];
        link.hidden = !name || busy();
        if (name) Object.assign(link, { href: `export/${encodeURIComponent(name)}`, title: name });
    }
}

const left = (job) => job.left === null ? "" : job.left < 90 ? `, ${Math.ceil(job.left)} s left` : `, ${Math.ceil(job.left / 60)} min left`;

function showDraft() {
    const drawn = ui.marks.length > 0;
    const given = state.given[ui.frame] ?? [];
    $("decision").hidden = !drawn;
    const doing = ui.waiting ? ": the outline is being found ..." : "";
    $("draft").textContent = drawn ? `${current()?.name ?? "object"} in frame ${ui.frame}${doing}` : "";
    $("accept").disabled = busy();
    $("undo").disabled = !drawn;
    $("forget").disabled = busy() || !given.includes(ui.object);
    $("brush-size").hidden = ui.tool !== "brush";
    for (const tool of ["click", "box", "brush"]) $(`tool-${tool}`).setAttribute("aria-checked", ui.tool === tool);
    $("adds").setAttribute("aria-checked", ui.adds);
    $("takes").setAttribute("aria-checked", !ui.adds);
    $("hint").textContent = busy() ? "Masks appear as they are made. Cancel keeps what is done."
        : drawn ? "Mark more to correct the outline, then press Accept."
            : !Object.keys(state.given).length ? "Choose a frame, click the object, press Accept, then Propagate."
                : isFresh(state, ui.frame) ? "If the mask is wrong here, click what is missing, Accept, and Propagate on."
                    : "Press Propagate to compute the masks that are missing.";
}

function choose(id) {
    if (id === ui.object || !state.objects.some((tracked) => tracked.id === id)) return;
    discard();
    ui.object = stage.object = id;
    showPanels();
}

function discard() {
    ui.marks = stage.marks = [];
    stage.cut = null;
    ui.waiting = false;
    asked++;
    if (state) {
        showPanels();
        stage.paint();
    }
}

// Ask for the mask that the marks lead to.
async function cut() {
    const number = ++asked;
    if (!ui.marks.length) return discard();
    ui.waiting = true;
    showPanels();
    stage.marks = ui.marks;
    stage.draw();
    await attempt(async () => {
        const mask = await getCut({ frame: ui.frame, object: ui.object, marks: ui.marks });
        if (number !== asked) return;
        for (const mark of ui.marks) delete mark.live;
        stage.cut = mask;
        stage.paint();
    });
    if (number === asked) {
        ui.waiting = false;
        showPanels();
    }
    return undefined;
}

async function mark(value) {
    if (!ui.object) {
        const next = await change("object");
        if (!next) return;
        ui.object = stage.object = next.object;
        stage.colours = colours();
    }
    ui.marks = [...ui.marks, value];
    await cut();
}

async function accept() {
    if (!ui.marks.length || busy()) return;
    const done = await change("given", { frame: ui.frame, object: ui.object, marks: ui.marks });
    if (done) discard();
}

async function go(frame) {
    const next = Math.min(Math.max(frame, 0), state.frames - 1);
    if (next === ui.frame) return;
    if (ui.marks.length) discard();
    ui.frame = next;
    showPanels();
    await attempt(showFrame);
}

function play() {
    if (ui.playing) {
        clearInterval(ui.playing);
        ui.playing = null;
    } else {
        if (ui.frame === state.frames - 1) go(0);
        ui.playing = setInterval(() => ui.frame < state.frames - 1 ? go(ui.frame + 1) : play(), 1000 / Math.min(state.rate, 30));
    }
    $("play").textContent = ui.playing ? "Stop" : "Play";
}

function fit() {
    const [width, height] = state.view;
    const zoom = Number($("zoom").value);
    const room = $("scroll").clientWidth;
    const high = innerHeight * (innerWidth <= 860 ? 0.6 : 0.72);
    const wide = Math.min(room, high * width / height, width * 2);
    $("stage").style.width = `${Math.floor(wide * zoom)}px`;
    drawStrip($("strip"), state, colours());
}

const removes = (event) => event.shiftKey || event.button === 2 ? false : ui.adds;

stage.canvas.onpointerdown = (event) => {
    if (!state || event.button === 1) return;
    event.preventDefault();
    stage.canvas.focus({ preventScroll: true });
    stage.canvas.setPointerCapture(event.pointerId);
    const place = stage.place(event);
    if (ui.tool === "click") mark({ kind: "click", x: place[0], y: place[1], adds: removes(event) });
    if (ui.tool === "box") ui.drawing = { kind: "box", places: [place, place] };
    if (ui.tool === "brush") {
        ui.drawing = { kind: "brush", places: [place], radius: Number($("radius").value), adds: removes(event), live: true };
    }
};
stage.canvas.onpointermove = (event) => {
    if (!state) return;
    const place = stage.place(event);
    stage.pointer = ui.tool === "brush" ? { place, radius: Number($("radius").value) } : null;
    if (ui.drawing?.kind === "box") ui.drawing.places = [ui.drawing.places[0], place];
    if (ui.drawing?.kind === "brush") ui.drawing.places.push(place);
    if (ui.drawing) stage.marks = [...ui.marks, ui.drawing];
    if (ui.drawing || stage.pointer) stage.draw();
};
stage.canvas.onpointerup = () => {
    const drawn = ui.drawing;
    ui.drawing = null;
    if (drawn?.kind === "box" && Math.hypot(drawn.places[1][0] - drawn.places[0][0], drawn.places[1][1] - drawn.places[0][1]) < 4) {
        stage.marks = ui.marks;
        stage.draw();
    } else if (drawn) mark(drawn);
};
stage.canvas.onpointerleave = () => {
    stage.pointer = null;
    stage.draw();
};
stage.canvas.oncontextmenu = (event) => event.preventDefault();

const tool = (name) => () => {
    ui.tool = name;
    showDraft();
};
const size = (factor) => () => {
    $("radius").value = Number($("radius").value) * factor + (factor > 1 ? 1 : 0);
    if (stage.pointer) stage.pointer.radius = Number($("radius").value);
    stage.draw();
};
const undo = () => {
    ui.marks = ui.marks.slice(0, -1);
    cut();
};
const create = async () => {
    discard();
    const next = await change("object");
    if (next) choose(next.object);
};
const marked = (step) => () => {
    const frames = Object.keys(state.given).map(Number).sort((a, b) => step * (a - b));
    const next = frames.find((frame) => step * (frame - ui.frame) > 0);
    if (next !== undefined) go(next);
};
const effect = (adds) => () => {
    ui.adds = adds;
    showDraft();
};

Object.entries({
    "tool-click": tool("click"), "tool-box": tool("box"), "tool-brush": tool("brush"), adds: effect(true), takes: effect(false),
    undo, clear: () => ui.object && mark({ kind: "clear" }), accept, discard, new: create,
    before: () => go(ui.frame - 1), after: () => go(ui.frame + 1), play, "last-mark": marked(-1), "next-mark": marked(1),
    forget: () => change("forget", { frame: ui.frame, object: ui.object }),
    propagate: () => change("propagate"), cancel: () => change("cancel"),
}).forEach(([id, work]) => {
    $(id).onclick = work;
});
for (const button of document.querySelectorAll("#exports button")) {
    button.onclick = () => change("export", { kind: button.dataset.kind });
}
$("frame").oninput = () => go(Number($("frame").value));
$("zoom").onchange = fit;
$("shown").onchange = () => {
    stage.shown = $("shown").checked;
    stage.draw();
};
addEventListener("resize", () => state && fit());

const KEYS = {
    c: tool("click"), b: tool("box"), p: tool("brush"), n: create, "[": size(0.8), "]": size(1.25), " ": play,
    Enter: accept, Escape: discard, Backspace: undo, Home: () => go(0), End: () => go(state.frames - 1),
};
addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=range]):not([type=checkbox]), select");
    if (!state || field || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("button, a, summary") && (event.key === "Enter" || event.key === " ")) return;
    const step = event.shiftKey ? 10 : 1;
    const work = KEYS[event.key] ?? KEYS[event.key.toLowerCase()]
        ?? { ArrowLeft: () => go(ui.frame - step), ArrowRight: () => go(ui.frame + step) }[event.key]
        ?? (/^[1-9]$/.test(event.key) ? () => choose(state.objects[Number(event.key) - 1]?.id) : null);
    if (!work) return;
    event.preventDefault();
    work();
});

// The state is asked for again and again: other tabs and jobs change it.
async function poll() {
    try {
        await refresh();
        if ($("notice").dataset.lost) notice("");
        delete $("notice").dataset.lost;
    } catch (error) {
        notice(error.message);
        $("notice").dataset.lost = "yes";
    }
    setTimeout(poll, state && busy() ? 300 : 1500);
}
poll();
