import { cleanup } from "@testing-library/react"
import { afterEach, vi } from "vitest"

/** Sees every element at once: there is no layout here in which something could be out of view. */
class AllInView implements Partial<IntersectionObserver> {
  readonly #callback: IntersectionObserverCallback
  constructor(callback: IntersectionObserverCallback) {
    this.#callback = callback
  }
  observe(target: Element): void {
    const entry = { isIntersecting: true, target } as IntersectionObserverEntry
    this.#callback([entry], this as unknown as IntersectionObserver)
  }
  disconnect(): void {}
}

vi.stubGlobal("IntersectionObserver", AllInView)

afterEach(cleanup)
