import { cleanup } from "@testing-library/react"
import { afterEach, vi } from "vitest"

/** Reports every element as visible at once: this environment has no layout. */
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
