/** The answer to whatever is asked: of Marketo, or of the simulator itself. */
import { control, controlPath } from "./control.js"
import type { Answer, Incoming } from "./http.js"
import type { Instance } from "./instance.js"

export const answerTo = (instance: Instance, request: Incoming, now: number): Answer =>
  request.target.startsWith(controlPath) ? control(instance, request, now) : instance.answer(request, now)
