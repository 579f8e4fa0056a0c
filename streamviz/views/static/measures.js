// What is measured of each layer, and how it is called.

/** What `watch` measures, in the order in which it is offered; of others the name is the word. */
export const MEASURES = new Map([
  ["grad_norm", "gradient norm"], ["update_ratio", "update ratio"], ["param_norm", "parameter norm"], ["act_zero", "zero activations"],
  ["act_mean", "activation mean"], ["act_std", "activation deviation"], ["grad_zero", "zero gradients"], ["seconds", "seconds of the forward pass"],
]);

