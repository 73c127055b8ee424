/* A page from the file system (file:) may start no worker. There the search runs in a frame, which is a worker to the
   rest of the page: messages go both ways, and importScripts loads by script elements. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const base = new URL(url, location)
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inner = frame.contentWindow
      const load = name => new Promise((resolve, reject) => {
        const script = inner.document.createElement("script")
        script.src = new URL(name, base).href
        script.onload = resolve
        script.onerror = reject
        inner.document.head.appendChild(script)
      })
      inner.importScripts = (...names) => names.reduce((before, name) => before.then(() => load(name)), Promise.resolve())
      inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.ready = load(base)
      this.inner = inner
    }
    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
