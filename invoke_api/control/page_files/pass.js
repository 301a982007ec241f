// What one view gives to the next: a rule for the editor, a call to ask again. Forgotten on reload.

export const pass = {rule: null, call: null}
