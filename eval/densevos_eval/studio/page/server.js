// The server at this address. Its first part is the secret, so all addresses are relative.

export class Refusal extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

async function answer(path, options) {
    let response;
    try {
        response = await fetch(path, options);
    } catch {
        throw new Refusal(0, "The studio does not answer: it has ended, or is busy. Look at its terminal.");
    }
    if (response.ok) return response;
    const text = await response.text();
    let message = text;
    try {
        message = JSON.parse(text).error;
    } catch { /* a line of plain text */ }
    throw new Refusal(response.status, message);
}

function body(value) {
    return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
}

export const getState = async () => (await answer("api/state")).json();

export const post = async (action, value) => (await answer(`api/${action}`, body(value))).json();

// Masks come as grey pictures whose values are ids, or 255 where a cut is.
export const getMask = async (frame) => values(await answer(`mask/${frame}.png`));

export const getCut = async (value) => values(await answer("api/cut", body(value)));

async function values(response) {
    const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const bitmap = await createImageBitmap(await response.blob(), options);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const rgba = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    const ids = new Uint8Array(bitmap.width * bitmap.height);
    for (let i = 0; i < ids.length; i++) ids[i] = rgba[4 * i];
    return ids;
}

const pictures = new Map();

// The picture of a frame; the last ones are kept, so that scrubbing back is quick.
export function getFrame(frame) {
    if (!pictures.has(frame)) {
        const image = new Image();
        image.src = `frame/${frame}.jpg`;
        pictures.set(frame, image.decode().then(() => image).catch((error) => {
            pictures.delete(frame);
            throw new Refusal(0, `Frame ${frame} cannot be shown: ${error.message}`);
        }));
        if (pictures.size > 60) pictures.delete(pictures.keys().next().value);
    }
    return pictures.get(frame);
}
