// The strip above the slider: which frames have masks that are up to date, and which the user has marked.

export function drawStrip(canvas, state, colours) {
    const style = getComputedStyle(canvas);
    const ratio = devicePixelRatio || 1;
    const width = canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = canvas.height = Math.round(canvas.clientHeight * ratio);
    const context = canvas.getContext("2d");
    const x = (frame) => frame / state.frames * width;

    context.fillStyle = style.getPropertyValue("--old");
    context.fillRect(0, 0, width, height);
    context.fillStyle = style.getPropertyValue("--up");
    for (const [start, stop] of state.fresh) context.fillRect(x(start), 0, x(stop) - x(start), height);

    for (const [frame, ids] of Object.entries(state.given)) {
        const each = height / ids.length;
        ids.forEach((id, row) => {
            context.fillStyle = colours.get(id) ?? style.getPropertyValue("--ink");
            context.fillRect(x(Number(frame)), row * each, Math.max(4 * ratio, width / state.frames), each);
        });
    }
}

export function isFresh(state, frame) {
    return state.fresh.some(([start, stop]) => start <= frame && frame < stop);
}

export function countFresh(state) {
    return state.fresh.reduce((sum, [start, stop]) => sum + stop - start, 0);
}
