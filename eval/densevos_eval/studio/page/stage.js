// The picture: a frame, masks over it in the objects' colours, and what the user is drawing.

const OPACITY = 0.45;

export class Stage {
    constructor(canvas) {
        this.canvas = canvas;
        this.context = canvas.getContext("2d");
        this.layer = new OffscreenCanvas(1, 1);
        this.image = null;
        this.ids = null;
        this.cut = null; // the mask that is being made, in place of that of `object`
        this.object = 0;
        this.colours = new Map();
        this.marks = [];
        this.pointer = null; // where the brush is
        this.shown = true;
    }

    resize(view, size) {
        this.canvas.width = this.layer.width = view[0];
        this.canvas.height = this.layer.height = view[1];
        this.scale = size[0] / view[0]; // pixels of the frame in one of the view
    }

    // Where a pointer is, in pixels of the frame.
    place(event) {
        const box = this.canvas.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width * this.canvas.width * this.scale;
        const y = (event.clientY - box.top) / box.height * this.canvas.height * this.scale;
        return [Math.round(10 * x) / 10, Math.round(10 * y) / 10];
    }

    // A new mask: its colours are computed once, and drawn with every mark.
    paint() {
        const { width, height } = this.layer;
        const context = this.layer.getContext("2d");
        const picture = context.createImageData(width, height);
        const pixels = new Uint32Array(picture.data.buffer);
        const soft = this.palette(OPACITY);
        const solid = this.palette(1);
        const at = (i) => this.idAt(i);
        const edge = Math.max(1, Math.round(Math.min(width, height) / 400));
        for (let y = 0, i = 0; y < height; y++) {
            for (let x = 0; x < width; x++, i++) {
                const id = at(i);
                if (!id) continue;
                const rim = (x >= edge && at(i - edge) !== id) || (x < width - edge && at(i + edge) !== id)
                    || (y >= edge && at(i - edge * width) !== id) || (y < height - edge && at(i + edge * width) !== id);
                pixels[i] = rim ? solid[id] : soft[id];
            }
        }
        context.putImageData(picture, 0, 0);
        this.draw();
    }

    idAt(i) {
        if (this.cut && this.cut[i]) return this.object;
        const id = this.ids ? this.ids[i] : 0;
        return this.cut && id === this.object ? 0 : id;
    }

    palette(opacity) {
        const palette = new Uint32Array(256);
        for (const [id, colour] of this.colours) {
            const [r, g, b] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
            palette[id] = (Math.round(255 * opacity) << 24 | b << 16 | g << 8 | r) >>> 0;
        }
        return palette;
    }

    draw() {
        const { context, canvas } = this;
        context.clearRect(0, 0, canvas.width, canvas.height);
        if (this.image) context.drawImage(this.image, 0, 0, canvas.width, canvas.height);
        if (this.shown) context.drawImage(this.layer, 0, 0);
        for (const mark of this.marks) this.drawMark(mark);
        if (this.pointer) this.ring(this.pointer.place, this.pointer.radius);
    }

    drawMark(mark) {
        const { context, scale } = this;
        context.lineWidth = 2;
        context.strokeStyle = "#fff";
        if (mark.kind === "click") {
            context.beginPath();
            context.arc(mark.x / scale, mark.y / scale, 6, 0, 7);
            context.fillStyle = mark.adds ? "#18a058" : "#d03050";
            context.fill();
            context.stroke();
        } else if (mark.kind === "box") {
            const [[x0, y0], [x1, y1]] = mark.places.map((place) => place.map((value) => value / scale));
            context.setLineDash([8, 5]);
            context.strokeRect(x0, y0, x1 - x0, y1 - y0);
            context.setLineDash([]);
        } else if (mark.kind === "brush" && mark.live) {
            context.strokeStyle = mark.adds ? this.colours.get(this.object) ?? "#fff" : "#000";
            context.globalAlpha = 0.6;
            context.lineWidth = 2 * mark.radius / scale;
            context.lineCap = context.lineJoin = "round";
            context.beginPath();
            for (const [x, y] of [mark.places[0], ...mark.places]) context.lineTo(x / scale, y / scale);
            context.stroke();
            context.globalAlpha = 1;
        }
    }

    ring([x, y], radius) {
        const { context, scale } = this;
        context.lineWidth = 1.5;
        for (const [colour, wider] of [["#000", 1], ["#fff", 0]]) {
            context.strokeStyle = colour;
            context.beginPath();
            context.arc(x / scale, y / scale, radius / scale + wider, 0, 7);
            context.stroke();
        }
    }
}
